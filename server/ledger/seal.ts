/**
 * Seals: what stands in the ledger is fastened by a chain of hashes (seal.sql), and each head is also written to a file outside the
 * database. Whoever changes a row must rewrite every seal after it, which a person with the powers of the owner can; what is in the
 * file he cannot change with them. `npm run audit` compares all three.
 *
 * The file is only appended to. One line a seal: `<first seq> <last seq> <rows> <head> <marks>`, the head in hexadecimal, the marks in
 * base64, four characters a row (`-` where there is none).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pause } from '../platform/clock.ts'
import type { Database, Row } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'

const SEQS_PER_SEAL = 10_000
const SEALS_PER_RUN_MAX = 50
/** Who is writing is waited for, 5 s in all, then left to the next run: transactions of the ledger take milliseconds. */
const WRITERS_LOOKS_MAX = 250
const WRITERS_LOOK_MS = 20
/** A line of 10,000 marks has some 40 kB. */
const LINES_PER_WRITE = 20
const TAIL_BYTES = 160_000
/** An arbitrary constant: processes that share a file write one after the other. */
const FILE_LOCK = 7_203_013

type Line = { firstSeq: string; head: string }

/** `file`: null keeps the seals in the database only. `seqsPerSeal` and `wait` are for tests. */
export function createSealer(settings: {
  database: Database
  log: Log
  file: string | null
  seqsPerSeal?: number
  wait?: typeof pause
}) {
  const { database, log, file, seqsPerSeal = SEQS_PER_SEAL, wait = pause } = settings
  /** What was said last, so that the same trouble is said once and not every minute. */
  let said = ''

  /**
   * Seals what was written before this moment, at most 50 ranges of 10,000, then brings the file up to date. Returns how many seals it
   * made. Trouble with the file is an error of the log and never an exception: money does not wait for it, and the next run makes up.
   */
  return async function seal(signal?: AbortSignal): Promise<number> {
    const { rows } = await database.pool.query<{ upto: string; writers: string[] }>(
      'select upto, writers from ledger_seal_horizon()',
    )
    const { upto, writers } = rows[0]!
    let sealed = 0
    for (let looks = 0; sealed < SEALS_PER_RUN_MAX && !signal?.aborted; ) {
      const answer = await sealNext(upto, writers)
      if (answer === 'sealed') sealed++
      else if (answer !== 'still_written' || looks++ === WRITERS_LOOKS_MAX) break
      else await wait(WRITERS_LOOK_MS, signal)
    }
    if (file !== null) await bringUpToDate(file, sealed)
    return sealed
  }

  async function sealNext(upto: string, writers: string[]): Promise<string> {
    const { rows } = await database.pool.query<{ answer: string }>('select ledger_seal($1, $2, $3) as answer', [
      upto,
      writers,
      seqsPerSeal,
    ])
    return rows[0]!.answer
  }

  /** After the commit: a crash in between leaves the file behind, never ahead, and the next run appends what it lacks. */
  async function bringUpToDate(path: string, justSealed: number): Promise<void> {
    try {
      while (await appendSome(path, justSealed)) {}
      said = ''
    } catch (error) {
      const { message } = error as Error
      if (message === said) return
      said = message
      log.error(
        { err: error, file: path },
        'Alarm: the file of seals is not written; what is sealed stands in the database only',
      )
    }
  }

  /** Returns whether there may be more. */
  function appendSome(path: string, justSealed: number): Promise<boolean> {
    return database.transaction(async (tx) => {
      const { rows: locks } = await tx.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [
        FILE_LOCK,
      ])
      if (!locks[0]!.mine) return false
      const { last, torn, isNew } = await readEnd(path)
      if (last) {
        const { rowCount } = await tx.query(`select from seals where first_seq = $1 and encode(head, 'hex') = $2`, [
          last.firstSeq,
          last.head,
        ])
        if (!rowCount)
          throw new Error(
            `The last seal in ${path}, of the rows from ${last.firstSeq} on, is not in the database: it was changed, or this is not its file, or it was restored from a backup. Run npm run audit; then move the file away and keep it`,
          )
      }
      const { rows } = await tx.query<
        Pick<Row<'seals'>, 'first_seq' | 'last_seq' | 'row_count' | 'marks'> & { head: string }
      >(
        `select first_seq, last_seq, row_count, encode(head, 'hex') as head, marks
           from seals where first_seq > $1 order by first_seq limit $2`,
        [last?.firstSeq ?? 0, LINES_PER_WRITE],
      )
      if (rows.length === 0) return false
      if (isNew && rows.length > justSealed)
        log.warn(
          { file: path },
          'The file of seals is new, and the database has older ones: it is written from the first. If there was a file before, find out where it went',
        )
      const lines = rows.map(
        (row) =>
          `${row.first_seq} ${row.last_seq} ${row.row_count} ${row.head} ${row.marks.toString('base64') || '-'}\n`,
      )
      await append(path, (torn ? '\n' : '') + lines.join(''), isNew)
      return rows.length === LINES_PER_WRITE
    })
  }
}

/** The last whole line. `torn`: the file ends in the middle of one, as a crash leaves it; what is appended then begins a new line. */
async function readEnd(path: string): Promise<{ last: Line | null; torn: boolean; isNew: boolean }> {
  await using handle = await openIfThere(path)
  if (!handle) return { last: null, torn: false, isNew: true }
  const { size } = await handle.stat()
  let text = ''
  for (const length of [Math.min(size, TAIL_BYTES), size]) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length)
    text = buffer.toString('latin1', 0, bytesRead)
    const last = text.split('\n').findLast(isWhole)
    if (!last) continue
    const [firstSeq, , , head] = last.split(' ')
    return { last: { firstSeq: firstSeq!, head: head! }, torn: !text.endsWith('\n'), isNew: false }
  }
  // Not one whole line: the crash may have come in the very first one.
  if (!/^(?:1 [0-9a-zA-Z+/= \n-]*)?$/.test(text))
    throw new Error(`There is no seal in ${path}: it is another file, or was damaged`)
  return { last: null, torn: text !== '' && !text.endsWith('\n'), isNew: false }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function isWhole(line: string): boolean {
  const [, rows, marks] = /^\d+ \d+ (\d+) [0-9a-f]{64} (\S+)$/.exec(line) ?? []
  return rows !== undefined && (rows === '0' ? marks === '-' : marks!.length === 4 * Number(rows))
}

async function append(path: string, text: string, isNew: boolean): Promise<void> {
  await using handle = await open(path, 'a', 0o600)
  await handle.writeFile(text)
  await handle.sync()
  // A new file is there after a crash of the machine only when its folder was written, too.
  if (!isNew || process.platform === 'win32') return
  await using folder = await open(dirname(path), 'r')
  await folder.sync()
}
