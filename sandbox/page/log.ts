/** What was done at the desk, one sentence each: the last hundred, kept over restarts. */
import type { Books } from '../books.ts'
import type { Clock } from '../clock.ts'

const KEPT_MAX = 100
const SHOWN_MAX = 30

export type Entry = { seq: number; at: number; sentence: string; link: string | null }
export type Log = {
  note: (sentence: string, link?: string) => void
  /** Newest first. */
  newest: () => Entry[]
}

export function openLog(books: Books, clock: Clock): Log {
  books.define(`
    create table if not exists desk_log (
      seq integer primary key,
      -- Unix milliseconds of wire time.
      at integer not null,
      sentence text not null,
      link text
    )`)
  return {
    note(sentence, link) {
      books.transaction(() => {
        books.run('insert into desk_log (at, sentence, link) values (?, ?, ?)', clock(), sentence, link ?? null)
        books.run('delete from desk_log where seq <= (select max(seq) from desk_log) - ?', KEPT_MAX)
      })
    },
    newest: () => books.all<Entry>('select * from desk_log order by seq desc limit ?', SHOWN_MAX),
  }
}
