/**
 * Whether the ledger's rows are those that were sealed: computes every head anew from the rows, by statements of its own, and compares
 * with the seals in the database and with those in the file outside. When the seals were rewritten with the rows, it is the file that
 * tells.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type pg from 'pg'
import type { Difference } from './audit.ts'

/** What stands in one line of the file, without its marks. */
type Line = { first: bigint; last: bigint; rows: number; head: string }
export type SealFile = { path: string; lines: Line[]; damaged: string | null }

type Asked = Pick<pg.Client, 'query'>

const DIFFERENCES_MAX = 5
const MARK_BYTES = 3

/** Which check, as the report calls it. */
const names = {
  rows: 'every row is as it was when it was sealed',
  chain: 'the seals follow one another without a gap',
  file: 'the rows and their seals are those of the file outside',
}
export const sealChecks = Object.values(names)

// One text a row, as seals define it: the fields in this order, a bar between them, nothing for what is absent, times in seconds.
const rows = `
  select seq, id, 'transfer' as kind_of_row,
         sha256(convert_to('transfer' || array_to_string(array['', seq::text, id::text, account_id::text, number::text, kind::text, code::text,
           contra::text, amount::text, returned::text, hold_id::text, reference::text, available_after::text, held_after::text,
           frozen_after::text, owed_after::text, extract(epoch from happened_at)::text, extract(epoch from recorded_at)::text], '|', ''), 'UTF8')) as hash
    from transfers
   union all
  select seq, id, 'house entry',
         sha256(convert_to('house entry' || array_to_string(array['', seq::text, id::text, debit::text, credit::text, amount::text, code::text,
           reference::text, extract(epoch from happened_at)::text, extract(epoch from recorded_at)::text], '|', ''), 'UTF8'))
    from house_entries`

/**
 * The lines of the file, without their marks, which are read again where they are needed. Read it before the database: what is
 * appended later is then not missed there.
 */
export async function readSealFile(path: string): Promise<SealFile> {
  const lines: Line[] = []
  let torn: string[] = []
  let damaged: string | null = null
  for await (const text of createInterface({ input: createReadStream(path, 'latin1') })) {
    const line = readLine(text)
    if (line === null) {
      torn.push(text)
      continue
    }
    // A crash leaves the beginning of a line; the whole line follows.
    damaged ??= torn.find((beginning) => !text.startsWith(beginning))?.slice(0, 100) ?? null
    torn = []
    lines.push(line)
  }
  // The last line may be under way at this moment; but a file of nothing else is no file of seals.
  if (lines.length === 0) damaged ??= torn[0]?.slice(0, 100) ?? null
  return { path, lines, damaged }
}

function readLine(text: string): Line | null {
  const [, first, last, rowCount, head, marks] = /^(\d+) (\d+) (\d+) ([0-9a-f]{64}) (\S+)$/.exec(text) ?? []
  if (first === undefined) return null
  const line = { first: BigInt(first), last: BigInt(last!), rows: Number(rowCount), head: head! }
  const complete = line.rows === 0 ? marks === '-' : marks!.length === 4 * line.rows
  return complete ? line : null
}

async function marksInFile(file: SealFile, first: bigint): Promise<Buffer> {
  for await (const text of createInterface({ input: createReadStream(file.path, 'latin1') })) {
    if (readLine(text)?.first === first) return Buffer.from(text.split(' ')[4]!.replace('-', ''), 'base64')
  }
  throw new Error(`${file.path} was changed while it was read`)
}

export async function compareWithSeals(database: Asked, file: SealFile | null): Promise<Difference[]> {
  const seals: Line[] = (
    await database.query(
      `select first_seq, last_seq, row_count, encode(head, 'hex') as head from seals order by first_seq`,
    )
  ).rows.map((row) => ({
    first: BigInt(row.first_seq),
    last: BigInt(row.last_seq),
    rows: row.row_count,
    head: row.head,
  }))
  return [
    ...chainDifferences(seals),
    ...(await rowDifferences(database, seals)),
    ...(file ? await fileDifferences(database, seals, file) : []),
  ]
}

function chainDifferences(seals: Line[]): Difference[] {
  return seals.flatMap((seal, index) => {
    const expected = (seals[index - 1]?.last ?? 0n) + 1n
    if (seal.first === expected) return []
    return [{ check: names.chain, row: { seal: String(seal.first), should_begin_at: String(expected) } }]
  })
}

async function rowDifferences(database: Asked, seals: Line[]): Promise<Difference[]> {
  const { rows: found } = await database.query(`
    select place, count(*)::int as row_count, encode(sha256(string_agg(hash, ''::bytea order by seq, hash)), 'hex') as content
      from (select width_bucket(seq, coalesce((select array_agg(first_seq order by first_seq) from seals), '{}')) as place, seq, hash
              from (${rows}) r
             where seq <= (select max(last_seq) from seals)) placed
     group by place`)
  const contents = new Map<number, { rows: number; content: string }>(
    found.map((row) => [row.place, { rows: row.row_count, content: row.content }]),
  )
  const differences: Difference[] = []
  const before = contents.get(0)
  if (before) differences.push({ check: names.rows, row: { what: 'added', rows_before_the_first_seal: before.rows } })
  for (const [index, seal] of seals.entries()) {
    const { rows: count, content } = contents.get(index + 1) ?? { rows: 0, content: sha256(Buffer.alloc(0)) }
    const head = sha256(
      Buffer.from(seals[index - 1]?.head ?? '', 'hex'),
      Buffer.from(content, 'hex'),
      Buffer.from(`${seal.first}|${seal.last}|${count}`),
    )
    if (head === seal.head) continue
    const { rows: kept } = await database.query(`select marks from seals where first_seq = ${seal.first}`)
    const row = await firstDifferent(database, seal, kept[0].marks)
    differences.push({
      check: names.rows,
      row: row ?? {
        what: 'the seal itself is changed',
        rows_from_seq: String(seal.first),
        rows_to_seq: String(seal.last),
      },
    })
    if (differences.length >= DIFFERENCES_MAX) break
  }
  return differences
}

/** The first seal that is not as the file has it; all that follow differ with it. */
async function fileDifferences(database: Asked, seals: Line[], file: SealFile): Promise<Difference[]> {
  const differs = (row: Record<string, unknown>) => [{ check: names.file, row: { ...row, file: file.path } }]
  if (file.damaged !== null) return differs({ what: 'the file has a line that is no seal', line: file.damaged })
  for (const [index, line] of file.lines.entries()) {
    const expected = (file.lines[index - 1]?.last ?? 0n) + 1n
    if (line.first !== expected)
      return differs({
        what: 'the file lacks seals',
        should_go_on_at_seq: String(expected),
        goes_on_at_seq: String(line.first),
      })
    const seal = seals[index]
    if (seal?.first === line.first && seal.last === line.last && seal.head === line.head) continue
    const row = await firstDifferent(database, line, await marksInFile(file, line.first))
    return differs(
      row ?? {
        what: seal ? 'the seal in the database is changed' : 'the seal is gone from the database',
        rows_from_seq: String(line.first),
        rows_to_seq: String(line.last),
      },
    )
  }
  return []
}

/** The first row of a range that is not as its mark says; null: all are. */
async function firstDifferent(database: Asked, range: Line, marks: Buffer): Promise<Record<string, unknown> | null> {
  const { rows: found } = await database.query(
    `select seq, id, kind_of_row, encode(substr(hash, 1, ${MARK_BYTES}), 'hex') as mark
       from (${rows}) r where seq between ${range.first} and ${range.last} order by seq, hash`,
  )
  const sealed = Array.from({ length: marks.length / MARK_BYTES }, (_, n) =>
    marks.toString('hex', n * MARK_BYTES, (n + 1) * MARK_BYTES),
  )
  const places = Array.from({ length: Math.max(sealed.length, found.length) }, (_, n) => n)
  const first = places.find((n) => found[n]?.mark !== sealed[n])
  if (first === undefined) return null

  const counts = { rows_sealed: sealed.length, rows_found: found.length }
  const row = found[first]
  // What stands here, if anything, was sealed further on.
  if (!row || sealed.includes(row.mark, first)) {
    return {
      what: 'missing',
      after_seq: found[first - 1]?.seq ?? String(range.first - 1n),
      before_seq: row?.seq ?? String(range.last + 1n),
      ...counts,
    }
  }
  // What was sealed here, if anything, stands further on.
  const wasSealed = sealed[first]
  const added = wasSealed === undefined || found.slice(first).some(({ mark }) => mark === wasSealed)
  return { what: added ? 'added' : 'changed', [row.kind_of_row]: row.id, seq: row.seq, ...counts }
}

function sha256(...parts: Buffer[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
