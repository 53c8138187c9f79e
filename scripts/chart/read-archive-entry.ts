/**
 * One file out of a tar or zip archive that is already in memory. Node brings the compression (`node:zlib`) but no reader for either format, and a bare machine
 * promises neither `tar` nor `unzip`. What the formats can do beyond one plain file (links, zip64, encryption) is refused, not guessed at.
 */
import { crc32, inflateRawSync } from "node:zlib";

const tarBlock = 512;

/** The content of a regular file in an uncompressed tar archive. Throws when it is not there. */
export function readTarEntry(tar: Buffer, wanted: string): Buffer {
  for (let at = 0; at + tarBlock <= tar.length;) {
    const header = tar.subarray(at, at + tarBlock);
    const name = textOf(header, 0, 100);
    const prefix = textOf(header, 345, 155);
    const size = Number.parseInt(textOf(header, 124, 12).trim() || "0", 8);
    if (Number.isNaN(size)) throw new Error(`the tar archive is damaged at byte ${at}`);
    const start = at + tarBlock;
    if ((prefix === "" ? name : `${prefix}/${name}`) === wanted) return tar.subarray(start, start + size);
    at = start + Math.ceil(size / tarBlock) * tarBlock;
  }
  throw new Error(`the tar archive holds no ${wanted}`);
}

/** Text ends at the field's first zero byte. */
function textOf(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end === -1 ? length : end);
}

const endOfDirectory = 0x06054b50;
const directoryEntry = 0x02014b50;
const storedMethod = 0;
const deflateMethod = 8;

/** The content of a file in a zip archive, checked against the archive's own CRC-32. Throws when it is not there or not what was packed. */
export function readZipEntry(zip: Buffer, wanted: string): Buffer {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end === -1 || zip.readUInt32LE(end) !== endOfDirectory) throw new Error("this is not a zip archive");
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (zip.readUInt32LE(at) !== directoryEntry) throw new Error(`the zip archive is damaged at byte ${at}`);
    const nameLength = zip.readUInt16LE(at + 28);
    if (zip.toString("utf8", at + 46, at + 46 + nameLength) === wanted) return unpack(zip, at, wanted);
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`the zip archive holds no ${wanted}`);
}

function unpack(zip: Buffer, at: number, name: string): Buffer {
  const method = zip.readUInt16LE(at + 10);
  const packedSize = zip.readUInt32LE(at + 20);
  const header = zip.readUInt32LE(at + 42);
  // The local header repeats the name and may carry other extra fields than the directory, so its own lengths count.
  const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
  const packed = zip.subarray(start, start + packedSize);
  if (method !== storedMethod && method !== deflateMethod) throw new Error(`${name} is packed by method ${method}, which is not read here`);
  const content = method === storedMethod ? packed : inflateRawSync(packed);
  if (crc32(content) !== zip.readUInt32LE(at + 16)) throw new Error(`${name} is damaged in the zip archive`);
  return content;
}
