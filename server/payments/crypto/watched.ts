/**
 * Which of a block's thousands of scripts may be ours, told in memory: so a block costs the same with a thousand addresses and with a
 * million. What passes is asked of the database; what does not pass is nobody's. Nothing of ours is ever held back:
 *
 * - Before each answer the rows that are new are read, whoever made them. Addresses of one family come into being one after the other,
 *   behind the lock of their key (keys.ts), so none with a smaller id becomes visible after one with a greater.
 * - The newest row that was read is looked at again each time. Where it is not as it was, these are other books, and all is read anew.
 *
 * Of each address 32 bits are kept, about 8 bytes of memory: of a million, one strange script in some four thousand passes for nothing.
 */
import type { Queryable } from '../../platform/db.ts'
import type { Family } from './assets.ts'

const ROWS_PER_READING = 50_000

type Row = { id: string; script: string }

export function createWatched(family: Family) {
  let marks = createMarks()
  let newest: Row | null = null

  /** Those of these scripts that may be ours, each once; all of ours are among them. Scripts: hexadecimal. */
  async function among(db: Queryable, scripts: readonly string[]): Promise<string[]> {
    await readOn(db)
    return [...new Set(scripts)].filter((script) => marks.has(markOf(script)))
  }

  /** Several may read at once: what was asked from an older place than where the marks are by now counts for nothing. */
  async function readOn(db: Queryable): Promise<void> {
    for (;;) {
      const from = newest
      const { rows }: { rows: Row[] } = await db.query(
        `select id, encode(script, 'hex') as script
           from crypto_addresses
          where family = $1 and id >= $2
          order by id
          limit $3`,
        [family, from?.id ?? 0, ROWS_PER_READING],
      )
      if (newest !== from) continue
      if (from !== null && (rows[0]?.id !== from.id || rows[0].script !== from.script)) {
        marks = createMarks()
        newest = null
        continue
      }
      const more = from === null ? rows : rows.slice(1)
      for (const { script } of more) marks.add(markOf(script))
      newest = more.at(-1) ?? newest
      if (rows.length < ROWS_PER_READING) return
    }
  }

  return { among }
}

const EMPTY = 0
const SLOTS_MIN = 1_024

/** A set of 32-bit numbers, in half as many slots at most; 0 and 1 are one. */
export function createMarks() {
  let slots = new Uint32Array(SLOTS_MIN)
  let size = 0

  /** Where this mark stands, or would. */
  function slotOf(mark: number): number {
    const last = slots.length - 1
    let at = mark & last
    while (slots[at] !== EMPTY && slots[at] !== mark) at = (at + 1) & last
    return at
  }

  function put(mark: number): void {
    const at = slotOf(mark)
    if (slots[at] === EMPTY) size++
    slots[at] = mark
  }

  const notEmpty = (mark: number) => (mark === EMPTY ? 1 : mark)
  return {
    has: (mark: number): boolean => slots[slotOf(notEmpty(mark))] !== EMPTY,
    add(mark: number): void {
      if ((size + 1) * 2 > slots.length) {
        const before = slots
        slots = new Uint32Array(before.length * 2)
        size = 0
        for (const one of before) if (one !== EMPTY) put(one)
      }
      put(notEmpty(mark))
    },
  }
}

/** FNV-1a over the characters, then mixed, so that its low bits differ as well as its high ones. From 0 to 2³² − 1. */
export function markOf(script: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < script.length; at++) hash = Math.imul(hash ^ script.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
