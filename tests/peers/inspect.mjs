// A client that is not ours: Microsoft's @azure/storage-blob, driven by one JSON request on standard input.
//
//   node inspect.mjs PACKAGE_JSON < request
//
// PACKAGE_JSON lies beside the node_modules to use. The request names the service (`service`, `account`, `key`) and what
// to do (`action`); answers go to standard output, one JSON value a line. Secrets travel on standard input only.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(process.argv[2]);
const azure = require("@azure/storage-blob");

/** Blobs read at the same time: enough to keep Azurite's one thread busy. */
const READERS = 8;

const request = JSON.parse(await text(process.stdin));
const credential = new azure.StorageSharedKeyCredential(request.account, request.key);
const service = new azure.BlobServiceClient(request.service, credential, { retryOptions: { maxTries: 2 } });
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const actions = {
  async createContainer({ container }) {
    await service.getContainerClient(container).create();
  },

  /** One line a blob: what the listing says of it, and a digest of the bytes a download gives. */
  async blobs({ container }) {
    const client = service.getContainerClient(container);
    const blobs = client.listBlobsFlat({ includeMetadata: true, includeTags: true });
    const reader = async () => {
      for (let next = await blobs.next(); !next.done; next = await blobs.next()) {
        print(await read(client, next.value));
      }
    };
    await Promise.all(Array.from({ length: READERS }, reader));
  },

  async put({ container, name, base64 }) {
    const bytes = Buffer.from(base64, "base64");
    await service.getContainerClient(container).getBlockBlobClient(name).upload(bytes, bytes.length);
  },

  /** A SAS for the account, or with `container` for that container alone. */
  async sas({ container, permissions, seconds }) {
    const expiresOn = new Date(Date.now() + seconds * 1000);
    const startsOn = new Date(Math.min(Date.now(), expiresOn.getTime()) - 300_000);
    const common = { startsOn, expiresOn, protocol: azure.SASProtocol.HttpsAndHttp };
    const sas = container
      ? azure.generateBlobSASQueryParameters(
          { ...common, containerName: container, permissions: azure.ContainerSASPermissions.parse(permissions) },
          credential,
        )
      : azure.generateAccountSASQueryParameters(
          {
            ...common,
            services: "b",
            resourceTypes: "sco",
            permissions: azure.AccountSASPermissions.parse(permissions),
          },
          credential,
        );
    print({ sas: sas.toString() });
  },
};

async function read(client, { name, properties, metadata, tags }) {
  const answer = await client.getBlobClient(name).download();
  const digest = createHash("sha256");
  let length = 0;
  for await (const chunk of answer.readableStreamBody) {
    digest.update(chunk);
    length += chunk.length;
  }
  return {
    name,
    length,
    listed_length: properties.contentLength,
    sha256: digest.digest("hex"),
    content_type: answer.contentType ?? null,
    content_encoding: answer.contentEncoding ?? null,
    content_language: answer.contentLanguage ?? null,
    content_disposition: answer.contentDisposition ?? null,
    cache_control: answer.cacheControl ?? null,
    content_md5: properties.contentMD5 ? Buffer.from(properties.contentMD5).toString("base64") : null,
    tier: properties.accessTier ?? null,
    metadata: answer.metadata ?? {},
    listed_metadata: metadata ?? {},
    tags: tags ?? {},
  };
}

await actions[request.action](request);
