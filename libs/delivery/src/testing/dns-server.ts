import { createSocket } from "node:dgram";

export interface DnsAnswer {
  A?: readonly string[];
  AAAA?: readonly string[];
  ttl?: number;
}

export interface DnsServer {
  /** `127.0.0.1:port`, as a resolver's server is written. */
  readonly address: string;
  /** Names and types asked for, in order. */
  readonly questions: readonly string[];
  close(): Promise<void>;
}

/** A real DNS server on loopback. `answer` gives the records of a name; undefined means there is no such name, "silence" that no reply is sent. */
export async function startDnsServer(answer: (name: string) => DnsAnswer | "silence" | undefined): Promise<DnsServer> {
  const questions: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join(".").toLowerCase();
    const type = query.readUInt16BE(at + 1) === 28 ? "AAAA" : "A";
    questions.push(`${name} ${type}`);
    const found = answer(name);
    if (found === "silence") return;
    const records = (found?.[type] ?? []).map((address) => record(type, address, found?.ttl ?? 300));
    const head = Buffer.alloc(12);
    head.writeUInt16BE(query.readUInt16BE(0), 0);
    head.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    socket.send(Buffer.concat([head, query.subarray(12, at + 5), ...records]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function record(type: "A" | "AAAA", address: string, ttl: number): Buffer {
  const data =
    type === "A"
      ? Buffer.from(address.split(".").map(Number))
      : Buffer.from(
          address
            .split(":")
            .map((group) => group.padStart(4, "0"))
            .join(""),
          "hex",
        );
  const head = Buffer.alloc(12);
  // A pointer to the name in the question, the type, class IN, the TTL and the data's length.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type === "A" ? 1 : 28, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
