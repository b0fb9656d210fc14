/**
 * Whether a file is a whole backup that this version of the code knows; touches no database. The launcher runs it before it makes one.
 * Exits with 1 and a sentence when it is not.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CannotRestore, count, FORMAT, type Frame, type Header, readBackup } from './file.ts'

const MIGRATIONS = join(import.meta.dirname, '../../db/migrations')
const STDIN = 0

if (import.meta.main) {
  try {
    const header = checkBackup(process.argv[2] ?? '')
    process.stdout.write(`The backup is whole: ${printHeader(header)}.\n`)
  } catch (error) {
    if (!(error instanceof CannotRestore)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

/** Reads all of it. */
export function checkBackup(path: string): Header {
  const { header, frames, close } = openBackup(path)
  try {
    for (const _ of frames);
    return header
  } finally {
    close()
  }
}

/** The header, when this version of the code can restore it, and what follows it. `-` is standard input. */
export function openBackup(path: string): { header: Header; frames: Generator<Frame>; close: () => void } {
  const fd = path === '-' ? STDIN : opened(path)
  const close = () => {
    if (fd !== STDIN) closeSync(fd)
  }
  try {
    const frames = readBackup(fd)
    const { value: first } = frames.next()
    if (first?.kind !== 'header') throw new Error('A backup begins with its header')
    fits(first.header)
    return { header: first.header, frames, close }
  } catch (error) {
    close()
    throw error
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw new CannotRestore(`The backup cannot be read (${(error as Error).message}): check its name.`)
  }
}

function fits({ format, migrations }: Header): void {
  if (format !== FORMAT)
    throw new CannotRestore(
      `This backup has the format ${format}, and this version of MobileSMS reads the format ${FORMAT}: restore it with the version that made it, or a newer one.`,
    )
  const ours = new Map(
    readdirSync(MIGRATIONS)
      .filter((name) => name.endsWith('.sql'))
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(MIGRATIONS, name)))
          .digest('hex'),
      ]),
  )
  const unknown = migrations.filter(({ name }) => !ours.has(name)).map(({ name }) => name)
  if (unknown.length > 0)
    throw new CannotRestore(
      `This backup was made by a newer version (it knows ${unknown.join(', ')}): restore it with that version.`,
    )
  const changed = migrations.find(({ name, checksum }) => ours.get(name) !== checksum)
  if (changed)
    throw new CannotRestore(
      `This backup was made with another db/migrations/${changed.name} than is here: restore it with the version that made it.`,
    )
}

export function printHeader(header: Header): string {
  return `${header.tables.length} tables, ${count(rowsOf(header))} rows, ${header.mode}, as they were at ${header.made_at} (PostgreSQL ${header.postgres})`
}

export function rowsOf({ tables }: Header): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0)
}
