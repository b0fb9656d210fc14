/**
 * A slip as PDF: rows of words, amounts on the money edge, paragraphs. The same slip is the same bytes, whenever and however often it
 * is printed. Tagged, so that a screen reader can read it. Knows no business.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateSync } from 'node:zlib'
import PDFDocument from 'pdfkit'

export type Slip = {
  title: string
  /** Stands above the title. */
  brand: string
  /** Who the document is from, for programs that list documents. */
  author: string
  /** When what it tells happened: the document's own date, so that it does not depend on when it was printed. */
  at: Date
  lead: string
  /** In this order. A string is a paragraph. */
  blocks: (string | { rows: SlipRow[] } | { amounts: SlipAmount[] })[]
  /** Small, at the end. */
  foot: string[]
  /** Stands last where a letter was outside the Latin script, and a box had to be drawn for it. */
  whenBoxed: string
}
export type SlipRow = { name: string; value: string }
/** `amount`: as people read it. `total`: the thick line above. */
export type SlipAmount = { name: string; amount: string; total?: boolean }

// Points, of which 72 are an inch. The page is A4; its text is as wide as the look's page for reading, at the same proportions.
const MARGIN = 62
const WIDTH = 595.28 - 2 * MARGIN
const EDGE = 96
const NAMES = 128
const ROW_GAP = 7
const ink = '#14211c'
const quiet = '#52625a'
const rule = '#d3dcd7'

const sizes = { title: 19, lead: 13, text: 10.5, note: 8.5 }
type Size = keyof typeof sizes
type Weight = 'regular' | 'strong'

const FACE = dirname(fileURLToPath(import.meta.resolve('@fontsource/atkinson-hyperlegible-next/package.json')))
/** The pages' own face. It comes as two files of letters: those of western Europe, and the rest of the Latin script. */
const files: Record<Weight, readonly [string, string]> = {
  regular: ['latin-400', 'latin-ext-400'],
  strong: ['latin-600', 'latin-ext-600'],
}
/** Other scripts are not in the face. Drawn in their place, so that a reader sees that something stands there. */
const BOX = '\u25a1'

const fonts = new Map<string, Buffer<ArrayBuffer>>()
function font(name: string): Buffer<ArrayBuffer> {
  let read = fonts.get(name)
  if (!read) {
    read = unpacked(readFileSync(join(FACE, `files/atkinson-hyperlegible-next-${name}-normal.woff`)))
    fonts.set(name, read)
  }
  return read
}

/**
 * A font of the web as the file that it was packed from: the library reads both, and would unpack all tables again for every document
 * (160 ms instead of a few). Source: WOFF File Format 1.0, sections 3 to 5; OpenType, "Organization of an OpenType Font".
 */
function unpacked(woff: Buffer): Buffer<ArrayBuffer> {
  const count = woff.readUInt16BE(12)
  const tables = Array.from({ length: count }, (_, index) => {
    const at = 44 + 20 * index
    const [offset, packed, length] = [4, 8, 12].map((field) => woff.readUInt32BE(at + field)) as [
      number,
      number,
      number,
    ]
    const bytes = woff.subarray(offset, offset + packed)
    return {
      tag: woff.subarray(at, at + 4),
      sum: woff.subarray(at + 16, at + 20),
      length,
      bytes: packed < length ? inflateSync(bytes) : bytes,
    }
  })
  const fits = 2 ** Math.floor(Math.log2(count))
  const head = Buffer.alloc(12 + 16 * count)
  woff.copy(head, 0, 4, 8)
  for (const [at, value] of [count, fits * 16, Math.log2(fits), (count - fits) * 16].entries())
    head.writeUInt16BE(value, 4 + 2 * at)
  let offset = head.length
  const parts: Buffer[] = [head]
  for (const [index, { tag, sum, length, bytes }] of tables.entries()) {
    const at = 12 + 16 * index
    tag.copy(head, at)
    sum.copy(head, at + 4)
    head.writeUInt32BE(offset, at + 8)
    head.writeUInt32BE(length, at + 12)
    parts.push(bytes, Buffer.alloc(-length & 3))
    offset += length + (-length & 3)
  }
  return Buffer.concat(parts)
}

export async function printSlip(slip: Slip): Promise<Buffer> {
  const doc = new PDFDocument({
    size: 'A4',
    margin: MARGIN,
    pdfVersion: '1.5',
    tagged: true,
    lang: 'en',
    displayTitle: true,
    info: { Title: slip.title, Author: slip.author, CreationDate: slip.at },
  })
  const chunks: Buffer[] = []
  const printed = new Promise<Buffer>((resolve, reject) => {
    doc.on('data', (chunk: Buffer) => chunks.push(chunk))
    doc.on('end', () => resolve(Buffer.concat(chunks)))
    doc.on('error', reject)
  })

  // Under their names, so that each is opened once a document and not at every word.
  for (const name of Object.values(files).flat()) doc.registerFont(name, font(name))

  const whole = doc.struct('Document')
  doc.addStructure(whole)
  const left = MARGIN
  const right = MARGIN + WIDTH
  let y = MARGIN
  let boxed = false

  function line(at: number, width: number, colour: string): void {
    doc.markContent('Artifact', { type: 'Layout' })
    doc.moveTo(left, at).lineTo(right, at).lineWidth(width).stroke(colour)
    doc.endMarkedContent()
  }

  /** Draws words in a box and answers with where they end. */
  function write(
    words: string,
    box: { x: number; y: number; width: number },
    how: { size?: Size; weight?: Weight; colour?: string; align?: 'left' | 'right' },
  ): number {
    const { size = 'text', weight = 'regular', colour = ink, align = 'left' } = how
    const parts = inFonts(doc, plain(words), weight)
    boxed ||= parts.some(({ text }) => text.includes(BOX))
    doc.fontSize(sizes[size]).fillColor(colour)
    parts.forEach(({ name, text }, index) => {
      const more = { features: ['tnum', 'kern'] as never[], align, lineGap: 2, continued: index < parts.length - 1 }
      doc.font(name)
      if (index === 0) doc.text(text, box.x, box.y, { width: box.width, ...more })
      else doc.text(text, more)
    })
    return doc.y
  }

  function paragraph(tag: 'H1' | 'P', words: string, how: Parameters<typeof write>[2]): void {
    whole.add(
      doc.struct(tag, {}, () => {
        y = write(words, { x: left, y, width: WIDTH }, how)
      }),
    )
  }

  function row(name: string, value: (at: number) => number, how: { weight?: Weight; names: number; colour: string }) {
    const tr = doc.struct('TR')
    const top = y
    let bottom = top
    tr.add(
      doc.struct('TH', { scope: 'Row' } as object, () => {
        bottom = write(name, { x: left, y: top, width: how.names }, how)
      }),
    )
    tr.add(
      doc.struct('TD', {}, () => {
        bottom = Math.max(bottom, value(top))
      }),
    )
    tr.end()
    return { tr, bottom: () => bottom }
  }

  paragraph('P', slip.brand, { weight: 'strong' })
  y += 14
  line(y, 1.5, ink)
  y += 16
  paragraph('H1', slip.title, { size: 'title', weight: 'strong' })
  y += 4
  paragraph('P', slip.lead, { size: 'lead' })
  y += 14

  for (const block of slip.blocks) {
    if (typeof block === 'string') {
      paragraph('P', block, {})
      y += 10
      continue
    }
    const table = doc.struct('Table')
    whole.add(table)
    const lines = 'rows' in block ? block.rows : block.amounts
    for (const each of lines) {
      const total = 'amount' in each && each.total === true
      line(y, total ? 1.5 : 0.75, total ? ink : rule)
      y += ROW_GAP
      const weight: Weight = total ? 'strong' : 'regular'
      const top = y
      const { tr, bottom } =
        'amount' in each
          ? row(
              each.name,
              (at) => write(each.amount, { x: right - EDGE, y: at, width: EDGE }, { weight, align: 'right' }),
              {
                weight,
                names: WIDTH - EDGE - 12,
                colour: ink,
              },
            )
          : row(each.name, (at) => write(each.value, { x: left + NAMES, y: at, width: WIDTH - NAMES }, {}), {
              names: NAMES - 12,
              colour: quiet,
            })
      table.add(tr)
      y = Math.max(bottom(), top) + ROW_GAP - 2
    }
    table.end()
    y += 16
  }

  line(y, 0.75, rule)
  y += 10
  for (const words of boxed ? [...slip.foot, slip.whenBoxed] : slip.foot) {
    paragraph('P', words, { size: 'note', colour: quiet })
    y += 3
  }
  whole.end()
  doc.end()
  return printed
}

/** The text in runs, each in the file that has its letters. */
function inFonts(doc: PDFKit.PDFDocument, words: string, weight: Weight): { name: string; text: string }[] {
  const has = files[weight].map((name) => {
    doc.font(name)
    // The library knows, and has no public name for it.
    const { font: face } = (doc as unknown as { _font: { font: { hasGlyphForCodePoint: (code: number) => boolean } } })
      ._font
    return { name, has: (character: string) => face.hasGlyphForCodePoint(character.codePointAt(0)!) }
  })
  const runs: { name: string; text: string }[] = []
  for (const { segment } of new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(words)) {
    const found = has.find((each) => [...segment].every((character) => each.has(character)))
    const name = found?.name ?? has[0]!.name
    const text = found ? segment : BOX
    const last = runs.at(-1)
    if (last?.name === name) last.text += text
    else runs.push({ name, text })
  }
  return runs.length === 0 ? [{ name: files[weight][0], text: ' ' }] : runs
}

/** On one line, in composed letters, without what turns the reading direction; narrow spaces as ordinary ones. */
function plain(words: string): string {
  return words
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/[\u00a0\u202f]/g, ' ')
    .trim()
}
