/**
 * What the programs write goes to a file each in the data folder, so that the terminal stays readable.
 */
import { copyFileSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'

const logBytesMax = 10 * 1024 * 1024
const tailBytesMax = 64 * 1024

/**
 * Opens a log for appending. Above 10 MB the old content moves to `<file>.1`; checked now and every minute. The programs
 * keep their file open, so it is emptied in place.
 * @param {string} file
 */
export function openLog(file) {
  const fd = openSync(file, 'a', 0o600)
  const shorten = () => {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < logBytesMax) return
    copyFileSync(file, `${file}.1`)
    truncateSync(file)
  }
  shorten()
  setInterval(shorten, 60_000).unref()
  return { file, fd }
}

/**
 * What was written since, at most the last 64 KiB.
 * @param {string} file
 * @param {number} from bytes
 */
export function tailOf(file, from) {
  const content = readFileSync(file)
  return content.subarray(Math.max(Math.min(from, content.length), content.length - tailBytesMax)).toString('utf8')
}
