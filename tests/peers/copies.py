"""Microsoft's azure-storage-blob, driven by one JSON request on standard input; the answer is JSON on standard output.

A place is {"service": URL of the account, "sas": SAS, "container": NAME}. Secrets travel on standard input only.
"""

import hashlib
import json
import sys
from urllib.parse import quote

from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings, StandardBlobTier

# A block of a blob that is copied in several, and the largest that is copied whole.
BLOCK = 1 << 20


def container(place):
    service = BlobServiceClient(place["service"], credential=place["sas"], retry_total=0)
    return service.get_container_client(place["container"])


def source_url(place, name):
    return f"{place['service']}/{place['container']}/{quote(name)}?{place['sas']}"


def content(length, seed):
    return bytes((n * 31 + n // 251 + seed) % 256 for n in range(length))


def settings(n, data):
    return ContentSettings(
        content_type=f"text/x-{n}",
        content_encoding="x-own",
        content_language="de",
        content_disposition="inline",
        cache_control=f"max-age={n}",
        content_md5=bytearray(hashlib.md5(data).digest()),
    )


def fill(request):
    """Blobs of all three types, with everything that can be said of one."""
    client = container(request["at"])
    names = [("empty", 0), ("small.txt", 5), ("dir/a b+c%2F&d", 70), ("dir/\u00e4\U0001f600", 4096)]
    names += [("large.bin", 3 * BLOCK + 3)]
    for n, (name, length) in enumerate(names):
        data = content(length, n)
        client.get_blob_client(name).upload_blob(
            data,
            metadata={"mark": f"{n} x"},
            tags={"kind": "block", "n": str(n)},
            standard_blob_tier=StandardBlobTier.COOL,
            content_settings=settings(n, data),
        )
    plain = client.get_blob_client("plain")
    plain.upload_blob(b"nothing is said of it", content_settings=ContentSettings())
    append = client.get_blob_client("log.append")
    parts = [content(length, 70 + length) for length in (10, 70_000, 1)]
    append.create_append_blob(
        content_settings=settings(8, b"".join(parts)), metadata={"mark": "append"}, tags={"kind": "append"}
    )
    for part in parts:
        append.append_block(part)
    page = client.get_blob_client("disk.vhd")
    disk = bytearray(8 << 20)
    ranges = [(0, 512), (4096, 1024), (5 << 20, 4096)]
    for at, length in ranges:
        disk[at : at + length] = content(length, at % 250 + 1)
    page.create_page_blob(
        len(disk),
        content_settings=settings(9, bytes(disk)),
        metadata={"mark": "page"},
        tags={"kind": "page"},
        sequence_number=7,
    )
    for at, length in ranges:
        page.upload_page(bytes(disk[at : at + length]), at, length)


def copy(request):
    """Copies every blob as the library's documentation says it."""
    source, target = container(request["from"]), container(request["to"])
    for blob in source.list_blobs(include=["metadata", "tags"]):
        url = source_url(request["from"], blob.name)
        to = target.get_blob_client(blob.name)
        said = {"metadata": blob.metadata, "tags": blob.tags, "content_settings": blob.content_settings}
        if blob.blob_type == "AppendBlob":
            to.create_append_blob(**said)
            to.append_block_from_url(url, 0, blob.size)
        elif blob.blob_type == "PageBlob":
            to.create_page_blob(blob.size, sequence_number=blob.page_blob_sequence_number, **said)
            for written in source.get_blob_client(blob.name).list_page_ranges():
                to.upload_pages_from_url(
                    url, written.start, written.end - written.start + 1, source_offset=written.start
                )
        elif blob.size <= BLOCK:
            to.upload_blob_from_url(
                url,
                include_source_blob_properties=True,
                metadata=blob.metadata,
                tags=blob.tags,
                standard_blob_tier=StandardBlobTier(blob.blob_tier),
            )
        else:
            blocks = []
            for at in range(0, blob.size, BLOCK):
                blocks.append(BlobBlock(f"{at:016}"))
                length = min(BLOCK, blob.size - at)
                to.stage_block_from_url(blocks[-1].id, url, source_offset=at, source_length=length)
            to.commit_block_list(blocks, standard_blob_tier=StandardBlobTier(blob.blob_tier), **said)


def state(request):
    """Everything that the library tells of each blob of a container."""
    client, found = container(request["at"]), {}
    for blob in client.list_blobs(include=["metadata", "tags"]):
        own, said = client.get_blob_client(blob.name), blob.content_settings
        pages = own.list_page_ranges() if blob.blob_type == "PageBlob" else []
        found[blob.name] = {
            "type": blob.blob_type,
            "length": blob.size,
            "content type": said.content_type,
            "content encoding": said.content_encoding,
            "content language": said.content_language,
            "content disposition": said.content_disposition,
            "cache control": said.cache_control,
            "content MD5": said.content_md5.hex() if said.content_md5 else None,
            "metadata": dict(blob.metadata or {}),
            "tags": dict(blob.tags or {}),
            "tier": None if blob.blob_tier_inferred else blob.blob_tier,
            "sequence number": blob.page_blob_sequence_number,
            "page ranges": [[page.start, page.end, page.cleared] for page in pages],
            "bytes": hashlib.sha256(own.download_blob().readall()).hexdigest(),
        }
    return found


request = json.load(sys.stdin)
answer = {"fill": fill, "copy": copy, "state": state}[request["action"]](request)
json.dump(answer, sys.stdout)
