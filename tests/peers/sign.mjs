// What Microsoft's @azure/storage-blob signs, and how: one JSON request on standard input, one JSON value a line in answer.
//
//   node sign.mjs PACKAGE_JSON < request
//
// The request names `account`, `key`, `seed` and how many `requests` and `tokens` are wanted; the same seed gives the same
// ones, but for the `x-ms-date` of the requests.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(process.argv[2]);
const azure = require("@azure/storage-blob");
// The policy that @azure/storage-blob puts into its pipeline, and the requests it is made for.
const { storageSharedKeyCredentialPolicy } = require("@azure/storage-common");
const { createHttpHeaders, createPipelineRequest } = require("@azure/core-rest-pipeline");

const { account, key, seed, requests, tokens } = JSON.parse(await text(process.stdin));
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** mulberry32: numbers from 0 to 1 that depend on the seed alone. */
let state = seed;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};
const below = (limit) => Math.floor(random() * limit);
const one = (list) => list[below(list.length)];
const maybe = (value) => (random() < 0.5 ? value() : undefined);
const some = (letters) => [...letters].filter(() => random() < 0.5).join("") || letters[0];

const NAMES = [
  "plain.txt", "a b", "100%", "100%25", "a+b", "ünïcödé", "日本語", "🦀", "what?", "a#b", "a//b", "//", "dir/", "a..b", ".hidden",
  "dot.", "a&b=c", "quo'te\"d", "a\\b", "[x](y)!*~", "tab\tin", "A/b/C d/e", "x".repeat(300), "combining e\u0301",
];
const QUERIES = [
  [], [["comp", "block"], ["blockid", "QUJD=="]], [["comp", "blocklist"]], [["restype", "container"], ["comp", "list"]],
  [["comp", "metadata"]], [["snapshot", "2026-11-22T04:00:00.1234567Z"]], [["comp", "tier"], ["versionid", "2026-11-22T04:00:00.0000000Z"]],
  [["comp", "list"], ["restype", "container"], ["prefix", "a b/ü&=+%"], ["delimiter", "/"], ["marker", "2!108!MDAw=="], ["maxresults", "5000"]],
  [["Timeout", "30"], ["comp", "tags"]], [["comp", "page"]], [["comp", "appendblock"]],
];
const DATE = "Sun, 22 Nov 2026 04:00:00 GMT";
const HEADERS = [
  ["Content-Type", "text/plain; charset=utf-8"], ["Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="], ["Range", "bytes=0-9"],
  ["If-Match", '"0x8DE1"'], ["If-None-Match", "*"], ["If-Modified-Since", DATE], ["If-Unmodified-Since", DATE], ["Date", DATE],
  ["x-ms-range", "bytes=1-2"], ["x-ms-version", "2025-07-05"], ["x-ms-blob-type", "BlockBlob"], ["x-ms-blob-content-type", "a/b"],
  ["x-ms-blob-content-disposition", 'attachment; filename="a b.txt"'], ["x-ms-access-tier", "Cool"], ["x-ms-tags", "a=b&c=d%20e"],
  ["x-ms-blob-content-language", "de"], ["x-ms-blob-content-encoding", "gzip"], ["x-ms-lease-id", "1"], ["x-ms-copy-source", "http://h/c/b?x=y"],
  ["x-ms-meta-blank", "two  blanks inside"], ["x-ms-meta-around", "  around  "], ["x-ms-meta-Upper", "X"], ["x-ms-meta-empty", ""],
  ["x-ms-meta-i_", "1"], ["x-ms-meta-i0", "2"], ["x-ms-meta-ia", "3"], ["x-ms-meta-foo_bar", "4"], ["x-ms-meta-foo2_bar", "5"],
  ["x-ms-meta-foobar", "6"], ["x-ms-meta-foo", "7"], ["x-ms-meta-_foo", "8"],
];
const escape = (name) => name.split("/").map(encodeURIComponent).join("/");

// Content-Encoding and Content-Language are left out: the library signs them in the other order than "Authorize with Shared
// Key" says, and never sends them.
for (let number = 0; number < requests; number++) {
  const method = one(["GET", "HEAD", "PUT", "POST", "DELETE"]);
  const query = one(QUERIES);
  const name = one(NAMES);
  const search = query.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
  const url = `https://${account}.blob.core.windows.net/${one(["cont", "$root", "$web"])}/${escape(name)}${search && `?${search}`}`;
  const headers = createHttpHeaders();
  const share = random();
  for (const [header, value] of HEADERS) if (random() < share) headers.set(header, value);
  const length = one([0, 1, 4096]);
  const body = method === "PUT" || method === "POST" ? "x".repeat(length) : undefined;
  const request = createPipelineRequest({ url, method, headers, body });
  const policy = storageSharedKeyCredentialPolicy({ accountName: account, accountKey: Buffer.from(key, "base64") });
  await policy.sendRequest(request, async (signed) => ({ request: signed, status: 200, headers: createHttpHeaders() }));
  const all = request.headers.toJSON();
  const authorization = all.authorization;
  delete all.authorization;
  delete all["content-length"];
  print({ method, path: new URL(url).pathname, query, headers: all, length: body?.length ?? 0, authorization });
}

const credential = new azure.StorageSharedKeyCredential(account, key);
const NOW = Date.UTC(2026, 10, 22, 4);
const DAY = 86_400_000;
const delegation = {
  signedObjectId: "11111111-2222-3333-4444-555555555555",
  signedTenantId: "99999999-8888-7777-6666-555555555555",
  signedStartsOn: new Date(NOW),
  signedExpiresOn: new Date(NOW + 7 * DAY),
  signedService: "b",
  signedVersion: "2025-07-05",
  value: Buffer.from("a key of an identity, 32 bytes..").toString("base64"),
};
for (let number = 0; number < tokens; number++) {
  const kind = ["account", "container", "blob", "policy", "delegated container", "delegated blob"][number % 6];
  const ofBlob = kind.endsWith("blob") || (kind === "policy" && random() < 0.5);
  const letters = some(kind === "account" ? "rwdxylacuptfi" : ofBlob ? "racwdxytmei" : "racwdxyltmeif");
  const policy = kind === "policy";
  const spec = {
    kind,
    permissions: policy ? maybe(() => letters) : letters,
    start: maybe(() => NOW + below(DAY / 1000) * 1000),
    expiry: policy && random() < 0.5 ? undefined : NOW + DAY + below((5 * DAY) / 1000) * 1000,
    ip: maybe(() => one([["10.0.0.1"], ["168.1.5.60", "168.1.5.70"]])),
    http: random() < 0.5,
    scope: maybe(() => one(["scope", "a-scope1"])),
    container: "cont",
    blob: ofBlob ? one(NAMES) : undefined,
    policy: policy ? one(["id", "with blank", "ümlaut+"]) : undefined,
    services: some("btqf"),
    types: some("sco"),
    overrides: kind === "account" ? undefined : maybe(() => ({
      cacheControl: maybe(() => "no-cache"),
      contentDisposition: maybe(() => 'attachment; filename="ä b.txt"'),
      contentEncoding: maybe(() => "gzip"),
      contentLanguage: maybe(() => "de"),
      contentType: maybe(() => "text/plain; charset=utf-8"),
    })),
  };
  const common = {
    version: "2025-07-05",
    startsOn: spec.start && new Date(spec.start),
    expiresOn: spec.expiry && new Date(spec.expiry),
    ipRange: spec.ip && { start: spec.ip[0], end: spec.ip[1] },
    protocol: spec.http ? azure.SASProtocol.HttpsAndHttp : azure.SASProtocol.Https,
    encryptionScope: spec.scope,
  };
  let sas;
  if (kind === "account") {
    const permissions = azure.AccountSASPermissions.parse(letters);
    const fields = { ...common, permissions, services: spec.services, resourceTypes: spec.types };
    sas = azure.generateAccountSASQueryParameters(fields, credential);
  } else {
    const Permissions = ofBlob ? azure.BlobSASPermissions : azure.ContainerSASPermissions;
    const permissions = spec.permissions && Permissions.parse(spec.permissions);
    const fields = { ...common, ...spec.overrides, permissions, containerName: "cont", blobName: spec.blob, identifier: spec.policy };
    sas = kind.startsWith("delegated")
      ? azure.generateBlobSASQueryParameters(fields, delegation, account)
      : azure.generateBlobSASQueryParameters(fields, credential);
  }
  print({ ...spec, delegation: kind.startsWith("delegated") ? delegation : undefined, sas: sas.toString() });
}
