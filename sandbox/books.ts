/**
 * The sandbox's own books: one SQLite file. What the outside world has answered must still be true after `kill -9`, so every
 * transaction reaches the disk before its answer leaves (WAL, synchronous=FULL).
 *
 * Each room owns its tables and creates them itself.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

export type Books = {
  /** Runs statements that answer nothing: tables, indexes. */
  define: (sql: string) => void
  run: (sql: string, ...values: SQLInputValue[]) => { changes: number }
  one: <Row>(sql: string, ...values: SQLInputValue[]) => Row | undefined
  all: <Row>(sql: string, ...values: SQLInputValue[]) => Row[]
  /** All or nothing. Synchronous, so nothing else of this program happens in between; inside another it joins that one. */
  transaction: <Result>(work: () => Result) => Result
  /** Calls back after the outermost transaction has reached the disk; at once where none is open. */
  afterwards: (work: () => void) => void
  setting: (name: string) => string | undefined
  set: (name: string, value: string) => void
  close: () => void
}

export function openBooks(path: string): Books {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(path, { timeout: 2_000 })
  try {
    // Exclusive: a second sandbox on the same books would send every webhook twice.
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full;')
    db.exec('create table if not exists settings (name text primary key, value text not null) without rowid')
    db.exec('begin immediate; commit')
  } catch (cause) {
    db.close()
    throw new Error(`Cannot open the sandbox's books at ${path}: another sandbox holds them, or the file is damaged`, {
      cause,
    })
  }

  const prepared = new Map<string, StatementSync>()
  function prepare(sql: string): StatementSync {
    let statement = prepared.get(sql)
    if (!statement) {
      statement = db.prepare(sql)
      prepared.set(sql, statement)
    }
    return statement
  }

  let depth = 0
  let waiting: (() => void)[] = []

  const books: Books = {
    define: (sql) => db.exec(sql),
    run: (sql, ...values) => ({ changes: Number(prepare(sql).run(...values).changes) }),
    one: <Row>(sql: string, ...values: SQLInputValue[]) => prepare(sql).get(...values) as Row | undefined,
    all: <Row>(sql: string, ...values: SQLInputValue[]) => prepare(sql).all(...values) as Row[],
    transaction(work) {
      if (depth > 0) return work()
      db.exec('begin immediate')
      depth = 1
      try {
        const result = work()
        db.exec('commit')
        depth = 0
        const ready = waiting
        waiting = []
        for (const next of ready) next()
        return result
      } catch (error) {
        depth = 0
        waiting = []
        if (db.isTransaction) db.exec('rollback')
        throw error
      }
    },
    afterwards(work) {
      if (depth > 0) waiting.push(work)
      else work()
    },
    setting: (name) => books.one<{ value: string }>('select value from settings where name = ?', name)?.value,
    set(name, value) {
      books.run(
        'insert into settings (name, value) values (?, ?) on conflict (name) do update set value = excluded.value',
        name,
        value,
      )
    },
    close: () => db.close(),
  }
  return books
}
