/**
 * The file of a backup: a first line that names it, then frames, each a letter, its length in four bytes, and its content:
 *
 *   H  the header, JSON: when, from what, which migrations, which tables with how many rows
 *   T  a table begins, JSON; its rows follow
 *   D  a piece of its rows in COPY's text format, compressed (zstd)
 *   E  the end, JSON: sequences, and the ledger's figures
 *   S  the SHA-256 of every byte before this frame; nothing comes after it
 *
 * Reading and writing wait for the disk: the programs that use this do nothing else meanwhile.
 */
import { createHash, type Hash } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** What a person must know; the message is the whole sentence. */
export class CannotRestore extends Error {}

export type Header = {
  format: number
  /** The database's own time when its snapshot was taken, RFC 3339. */
  made_at: string
  mode: 'sandbox' | 'production'
  /** Of the server that it was taken from. */
  postgres: string
  migrations: { name: string; checksum: string }[]
  /** In the order in which they may be filled: who is referred to comes first. */
  tables: Table[]
}
export type Table = { schema: string; name: string; columns: string[]; rows: number }
export type End = {
  /** The last value that each gave; null: none yet. */
  sequences: { schema: string; name: string; last: string | null }[]
  figures: Record<string, unknown>
}
export type Frame =
  | { kind: 'header'; header: Header }
  | { kind: 'table'; table: Table }
  | { kind: 'rows'; bytes: Buffer }
  | { kind: 'end'; end: End }

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

export const FORMAT = 1
const FIRST_LINE = Buffer.from('MobileSMS backup\n')
/** Before a length is believed. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024
const AGAIN_MS = 5
const letters = { header: 'H', table: 'T', rows: 'D', end: 'E', seal: 'S' } as const

/** Writes a backup to an open file, or to a pipe. */
export function createWriter(fd: number) {
  const hash = createHash('sha256')
  let written = 0
  put(FIRST_LINE)

  function put(bytes: Uint8Array): void {
    hash.update(bytes)
    writeAll(fd, bytes)
    written += bytes.length
  }
  function frame(kind: keyof typeof letters, content: Uint8Array): void {
    const start = Buffer.alloc(5)
    start.write(letters[kind], 'latin1')
    start.writeUInt32BE(content.length, 1)
    put(start)
    put(content)
  }
  const json = (content: object) => Buffer.from(JSON.stringify(content))

  return {
    header: (header: Header) => frame('header', json(header)),
    table: (table: Table) => frame('table', json(table)),
    rows: (bytes: Buffer) => frame('rows', zstdCompressSync(bytes)),
    /** The last words, and the seal over all. */
    end(end: End): void {
      frame('end', json(end))
      frame('seal', hash.copy().digest())
    },
    /** Unit: bytes. */
    written: () => written,
  }
}

/**
 * Reads a backup from its beginning; throws what is wrong with it, as a sentence, as soon as that is known. Whoever acts on what
 * comes must be able to take it back until the generator has ended: only then the seal was seen to fit.
 */
export function* readBackup(fd: number): Generator<Frame> {
  const hash = createHash('sha256')
  let position = 0
  const first = take(FIRST_LINE.length)
  if (first === null || !first.equals(FIRST_LINE))
    throw new CannotRestore('This is no backup of MobileSMS: give the file that npm run backup made.')

  function take(length: number): Buffer | null {
    const bytes = readUpTo(fd, length)
    position += bytes.length
    return bytes.length === length ? bytes : null
  }
  hash.update(first)

  let expected: Frame['kind'][] = ['header']
  for (;;) {
    const start = take(5) ?? incomplete(position)
    const letter = String.fromCharCode(start[0]!)
    const length = start.readUInt32BE(1)
    if (length > FRAME_BYTES_MAX) throw damaged(position)
    const content = take(length) ?? incomplete(position)
    if (letter === letters.seal) {
      if (expected.length > 0 || !sealFits(hash, content)) throw damaged(position)
      if (readUpTo(fd, 1).length > 0) throw damaged(position)
      return
    }
    hash.update(start).update(content)
    const frame = frameOf(letter, content, position)
    if (!expected.includes(frame.kind)) throw damaged(position)
    expected = frame.kind === 'end' ? [] : frame.kind === 'header' ? ['table', 'end'] : ['table', 'rows', 'end']
    yield frame
  }
}

function sealFits(hash: Hash, content: Buffer): boolean {
  return content.equals(hash.copy().digest())
}

function frameOf(letter: string, content: Buffer, position: number): Frame {
  try {
    if (letter === letters.rows)
      return { kind: 'rows', bytes: zstdDecompressSync(content, { maxOutputLength: FRAME_BYTES_MAX }) }
    if (letter === letters.header) return { kind: 'header', header: JSON.parse(content.toString()) }
    if (letter === letters.table) return { kind: 'table', table: JSON.parse(content.toString()) }
    if (letter === letters.end) return { kind: 'end', end: JSON.parse(content.toString()) }
  } catch {
    // Not what was written: said below.
  }
  throw damaged(position)
}

function damaged(position: number): CannotRestore {
  return new CannotRestore(
    `This backup is damaged (found at byte ${position}): take another copy of it, or an older backup. Nothing of it is in any database.`,
  )
}

function incomplete(position: number): never {
  throw new CannotRestore(
    `This backup is incomplete: it ends after ${position} bytes. Take another copy of it, or an older backup. Nothing of it is in any database.`,
  )
}

/** A pipe that others share may ask to come again later, both ways. */
function again(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AGAIN_MS)
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      again(error)
    }
  }
}

/** As many bytes as there are, up to `length`. */
function readUpTo(fd: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let at = 0
  while (at < length) {
    try {
      const read = readSync(fd, bytes, at, length - at, null)
      if (read === 0) break
      at += read
    } catch (error) {
      again(error)
    }
  }
  return bytes.subarray(0, at)
}
