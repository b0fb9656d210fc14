/**
 * How the launcher speaks: a few named lines while it works, one sentence when it cannot.
 */

const width = 10
/** @type {string | null} */
let open = null
/** @type {NodeJS.WriteStream} */
let output = process.stdout

// Somebody may look at the first lines only (`npm start | head`): what runs goes on.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

/**
 * A reason to end that the reader can remove. Shown as its one sentence, without a stack trace; exit code 1.
 */
export class Refusal extends Error {}

/** From now on nothing is said on standard output: it carries what was asked for. */
export function keepOutputFree() {
  output = process.stderr
}

/**
 * Opens a named line: what is being done stands there until `done` replaces it. Where the output is not a terminal
 * only the name is written, so that a log holds one line per step.
 * @param {string} name
 * @param {string} [doing]
 */
export function begin(name, doing = '') {
  // A log holds the name once, however often what is being done changes.
  if (open === name && !output.isTTY) return
  if (open !== name) closeLine()
  open = name
  output.write(output.isTTY ? `\r\x1b[K  ${name.padEnd(width)} ${doing}` : `  ${name.padEnd(width)} `)
}

/** Ends the open line with what came of it. @param {string} text */
export function done(text) {
  if (open === null) return line(text)
  output.write(output.isTTY ? `\r\x1b[K  ${open.padEnd(width)} ${text}\n` : `${text}\n`)
  open = null
}

/** A line of its own. @param {string} text */
export function line(text) {
  closeLine()
  output.write(`${text}\n`)
}

/** Something a person should read although nothing ends. @param {string} text */
export function warn(text) {
  closeLine()
  process.stderr.write(`${text}\n`)
}

function closeLine() {
  if (open === null) return
  open = null
  output.write('\n')
}

/** @param {number} since milliseconds, from `performance.now()` */
export function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
