/**
 * Reads a planted bug and plants it: a patch whose places are found by their text. White space counts as white space only, and line
 * numbers not at all, so a canary outlives small changes around it; a place that is not there, or twice, is an error.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export type Canary = {
  name: string
  /** What is wrong, in a sentence. */
  bug: string
  /** Where it happened. */
  from: string
  foundBy: { streams: true; connections: number } | { streams: false; file: string; test: string }
  /** SQL that takes the constraints away that would stop it: who had this bug had none. */
  without: string | null
  places: { file: string; right: string; wrong: string }[]
}

export function readCanaries(): Canary[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.patch'))
    .sort()
    .map((file) => readCanary(file.slice(0, -'.patch'.length), readFileSync(join(import.meta.dirname, file), 'utf8')))
}

export function readCanary(name: string, text: string): Canary {
  const [head, ...files] = text.split(/^--- /m)
  const fields = new Map<string, string>()
  for (const line of head!.split('\n').filter((one) => one.trim() !== '')) {
    const [, field, value] = /^(Bug|From|Found by|Without): (.+)$/.exec(line) ?? []
    if (!field) throw new Error(`${name}: this line of the head cannot be read: ${line}`)
    fields.set(field, value!)
  }
  const field = (what: string) => {
    const value = fields.get(what)
    if (!value) throw new Error(`${name}: its head has no "${what}:"`)
    return value
  }
  const places = files.flatMap((part) => {
    const [file, ...blocks] = part.split(/^@@.*\n/m)
    return blocks.map((block) => {
      const lines = block.split('\n').filter((line) => line !== '')
      const side = (mark: '-' | '+') =>
        lines
          .filter((line) => line.startsWith(' ') || line.startsWith(mark))
          .map((line) => line.slice(1))
          .join('\n')
      return { file: file!.trim(), right: side('-'), wrong: side('+') }
    })
  })
  if (places.length === 0) throw new Error(`${name}: it changes nothing`)
  return {
    name,
    bug: field('Bug'),
    from: field('From'),
    foundBy: finder(name, field('Found by')),
    without: fields.get('Without') ?? null,
    places,
  }
}

function finder(name: string, text: string): Canary['foundBy'] {
  const streams = /^streams(?: over (\d) connections)?$/.exec(text)
  if (streams) return { streams: true, connections: Number(streams[1] ?? 1) }
  const [, file, test] = /^(\S+\.test\.ts): (.+)$/.exec(text) ?? []
  if (!file)
    throw new Error(`${name}: "Found by" is "streams", "streams over 4 connections" or "FILE: NAME OF THE TEST"`)
  return { streams: false, file, test: test! }
}

/** The files that it changes, with the bug in them. */
export function plant(
  canary: Canary,
  read = (file: string) => readFileSync(join(ROOT, file), 'utf8'),
): Map<string, string> {
  const files = new Map<string, string>()
  for (const { file, right, wrong } of canary.places) {
    const text = files.get(file) ?? read(file)
    const words = right.trim().split(/\s+/)
    const found = [
      ...text.matchAll(
        new RegExp(words.map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s+'), 'g'),
      ),
    ]
    if (found.length !== 1) {
      throw new Error(
        `${canary.name} no longer applies, write it anew: ${file} has ${found.length === 0 ? 'nowhere' : 'more than once'}\n${right}`,
      )
    }
    const [{ 0: place, index }] = found as [RegExpExecArray]
    files.set(file, text.slice(0, index) + wrong.trim() + text.slice(index + place.length))
  }
  return files
}
