import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { files } from "#files";
import { downloadCifar } from "../../../training/data/download.ts";
import { loadRaw } from "../../../training/data/load.ts";
import type { Archive } from "../../../training/files.ts";
import { cifarBytes, put, temporaryFolder } from "./fixtures.ts";

const root = temporaryFolder();
const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

/** Bytes that gzip cannot shrink, so that the archive comes in many pieces. */
const noise = Uint8Array.from({ length: 300_000 }, (_, i) => Math.imul(i + 1, 2654435761) >>> ((i % 3) * 8));

function makeArchive(): Buffer {
  const folder = join(root, "source");
  put(join(folder, "data", "noise.bin"), noise);
  execFileSync("tar", ["-cf", join(root, "a.tar"), "-C", folder, "data"]);
  return gzipSync(readFileSync(join(root, "a.tar")));
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const bytes = makeArchive();
let server: Server;
let base = "";
let cache = "";
let requests: (string | undefined)[] = [];
let answer: Answer;

/** A server that knows ranges. */
const whole: Answer = (request, response) => {
  const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const body = bytes.subarray(start);
  const range = { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(start > 0 ? 206 : 200, { "Content-Length": body.length, ...(start > 0 && range) });
  response.end(body);
};

/** Announces everything, sends up to `upTo`, and cuts the connection. */
function cutAt(upTo: number): Answer {
  return (request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      "Content-Length": bytes.length - start,
      "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
    });
    response.write(bytes.subarray(start, Math.max(start, upTo)));
    // What has not reached the file when the connection breaks may be dropped.
    const part = join(cache, "thing.tar.gz.part");
    const timer = setInterval(() => {
      if (!existsSync(part) || statSync(part).size < upTo) return;
      clearInterval(timer);
      response.destroy();
    }, 5);
  };
}

function archive(change: Partial<Archive> = {}): Archive {
  return { name: "thing", url: `${base}/thing.tar.gz`, md5: md5(bytes), folder: "data", ...change };
}

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

let caches = 0;
beforeEach(() => {
  requests = [];
  answer = whole;
  cache = join(root, `cache${caches++}`);
});

describe("fetchArchive", () => {
  it("downloads, checks and unpacks once, telling its progress", async () => {
    const progress: [number, number][] = [];
    const folder = await files.fetchArchive(archive(), cache, (done, total) => progress.push([done, total]));
    expect(folder).toBe(join(cache, "data"));
    expect(Buffer.compare(readFileSync(join(folder, "noise.bin")), noise)).toBe(0);
    expect(progress.at(-1)).toEqual([bytes.length, bytes.length]);
    expect(progress.every(([done], i) => i === 0 || done > progress[i - 1][0])).toBe(true);
    expect(readdirSync(cache)).toEqual(["data"]);
    await files.fetchArchive(archive(), cache);
    expect(requests.length).toBe(1);
  });

  it("goes on by itself where a connection was cut", async () => {
    answer = (request, response) => (requests.length === 1 ? cutAt(100_000) : whole)(request, response);
    const folder = await files.fetchArchive(archive(), cache);
    expect(requests).toEqual([undefined, "bytes=100000-"]);
    expect(Buffer.compare(readFileSync(join(folder, "noise.bin")), noise)).toBe(0);
  });

  it("keeps what it has when it gives up, and a later call goes on from there", async () => {
    answer = cutAt(120_000);
    const failed = files.fetchArchive(archive(), cache);
    await expect(failed).rejects.toThrow(
      /thing: cannot download http.*thing\.tar\.gz: .*120000 bytes are kept: run again/,
    );
    expect(statSync(join(cache, "thing.tar.gz.part")).size).toBe(120_000);
    requests = [];
    answer = whole;
    const folder = await files.fetchArchive(archive(), cache);
    expect(requests).toEqual(["bytes=120000-"]);
    expect(Buffer.compare(readFileSync(join(folder, "noise.bin")), noise)).toBe(0);
  });

  it("starts anew where the server knows no ranges", async () => {
    put(join(cache, "thing.tar.gz.part"), bytes.subarray(0, 5000));
    answer = (_, response) => void response.writeHead(200, { "Content-Length": bytes.length }).end(bytes);
    const folder = await files.fetchArchive(archive(), cache);
    expect(requests).toEqual(["bytes=5000-"]);
    expect(Buffer.compare(readFileSync(join(folder, "noise.bin")), noise)).toBe(0);
  });

  it("takes a complete part without fetching more", async () => {
    put(join(cache, "thing.tar.gz.part"), bytes);
    answer = (_, response) => void response.writeHead(416).end();
    await files.fetchArchive(archive(), cache);
    expect(existsSync(join(cache, "data", "noise.bin"))).toBe(true);
  });

  it("takes an archive that was put into the cache by hand", async () => {
    put(join(cache, "thing.tar.gz"), bytes);
    await files.fetchArchive(archive(), cache);
    expect(requests.length).toBe(0);
    expect(existsSync(join(cache, "data", "noise.bin"))).toBe(true);
  });

  it("removes a file of another MD5, so that the next call starts anew", async () => {
    const wrong = "0".repeat(32);
    await expect(files.fetchArchive(archive({ md5: wrong }), cache)).rejects.toThrow(
      new RegExp(`thing: thing\\.tar\\.gz has MD5 ${md5(bytes)}, published is ${wrong}; the damaged file was removed`),
    );
    expect(readdirSync(cache)).toEqual([]);
    await files.fetchArchive(archive(), cache);
    expect(existsSync(join(cache, "data"))).toBe(true);
  });

  it("says what the server answered, and asks no second time", async () => {
    answer = (_, response) => void response.writeHead(404).end("nothing here");
    await expect(files.fetchArchive(archive(), cache)).rejects.toThrow(
      /thing\.tar\.gz: the server answered 404 Not Found\n/,
    );
    expect(requests.length).toBe(1);
    expect(readdirSync(cache)).toEqual([]);
  });

  it("refuses an archive without the folder or that is no archive, leaving nothing half unpacked", async () => {
    await expect(files.fetchArchive(archive({ folder: "other" }), cache)).rejects.toThrow(
      /holds no folder other \(found: data\)/,
    );
    expect(readdirSync(cache)).toEqual(["thing.tar.gz"]);
    const text = gzipSync("this is no tar file, however long it may be");
    put(join(cache, "thing.tar.gz"), text);
    await expect(files.fetchArchive(archive({ md5: md5(text) }), cache)).rejects.toThrow(/thing: tar failed on /);
    put(join(cache, "thing.tar.gz"), "plain");
    await expect(files.fetchArchive(archive({ md5: md5(Buffer.from("plain")) }), cache)).rejects.toThrow(
      /thing: cannot unzip .*incorrect header check/,
    );
    expect(readdirSync(cache)).toEqual(["thing.tar.gz"]);
  });
});

describe("without tar", () => {
  it("says what to do by hand", async () => {
    const path = process.env.PATH;
    process.env.PATH = join(root, "nothing");
    try {
      await expect(files.fetchArchive(archive(), cache)).rejects.toThrow(
        /thing: cannot run tar \(spawn tar ENOENT\); unpack .*thing\.tar\.gz by hand and give --data its folder/,
      );
    } finally {
      process.env.PATH = path;
    }
  });
});

describe("downloadCifar", () => {
  it("says in two lines what to do where nothing answers", async () => {
    const nobody = createServer();
    await new Promise<void>((done) => nobody.listen(0, "127.0.0.1", done));
    const { port } = nobody.address() as AddressInfo;
    await new Promise((done) => nobody.close(done));
    const failed = await downloadCifar("cifar10", { baseUrl: `http://127.0.0.1:${port}/x/`, cache }).catch(
      (e: Error) => e,
    );
    const lines = (failed as Error).message.split("\n");
    expect(lines.length).toBe(2);
    expect(lines[0]).toMatch(
      new RegExp(
        `^cifar10: cannot download http://127\\.0\\.0\\.1:${port}/x/cifar-10-binary\\.tar\\.gz: .*ECONNREFUSED`,
      ),
    );
    expect(lines[1]).toBe(
      `Put that file at ${join(cache, "cifar-10-binary.tar.gz")}, or give --data a folder that holds its unpacked .bin files`,
    );
  });

  it("finds earlier downloads", async () => {
    const folder = join(cache, "cifar-100-binary");
    mkdirSync(folder, { recursive: true });
    expect(await downloadCifar("cifar100", { baseUrl: base, cache })).toBe(folder);
    put(
      join(folder, "train.bin"),
      cifarBytes([
        [3, 99],
        [1, 0],
      ]),
    );
    put(join(folder, "test.bin"), cifarBytes([[19, 42]]));
    const { name, train } = await loadRaw("cifar100", { baseUrl: base, cache });
    expect([name, [...train.labels], requests.length]).toEqual(["cifar100", [99, 0], 0]);
  });
});
