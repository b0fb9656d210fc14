/**
 * Where the tests' databases lie: in memory where the machine has enough, because each commit of thousands waits for the disk, which takes
 * milliseconds there and nothing here. PostgreSQL does and waits for the same in both; that it survives a kill is tried on a disk
 * (test/faults/cluster.ts).
 */
import { createHash } from 'node:crypto'
import { copyFileSync, lstatSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from './folders.mjs'

/** A file system in memory that Linux has everywhere; containers may have a small one. */
const memory = '/dev/shm'
/** The whole of the tests takes less than a tenth of it; the rest is for whatever runs beside them. */
const bytesMin = 4 * 1024 ** 3
/** A log that is as long as on a disk would fill the memory. */
export const settingsInMemory = { max_wal_size: '256MB' }

/**
 * A folder in memory that stands for this one, always the same, so that what a dead run left is found there.
 * @param {string} folder
 * @returns {string | null} null: there is no memory to spare
 */
export function inMemory(folder) {
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 12)
  const place = join(memory, `mobilesms-tests-${name}`)
  try {
    const there = lstatSync(place, { throwIfNoEntry: false })
    // Everybody may write to that file system: a name that is taken is not ours.
    if (there && (!there.isDirectory() || there.uid !== process.getuid?.())) return null
    const { bavail, bsize } = statfsSync(memory)
    if (bavail * bsize < bytesMin || process.availableMemory() < bytesMin) return null
    makeFolder(place)
    return place
  } catch {
    return null
  }
}

/** Gives the memory back when the database in it has stopped; its log stays in the folder on the disk. @param {string} place @param {string} folder */
export function giveBack(place, folder) {
  try {
    copyFileSync(join(place, 'postgres.log'), join(folder, 'postgres.log'))
  } catch {
    // It has not said anything.
  }
  rmSync(place, { recursive: true, force: true })
}
