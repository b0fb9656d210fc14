/** What stands in a PDF of ours, as a reader's program finds it: line by line, in the order in which it was written. */
import { inflateSync } from 'node:zlib'

export function textOf(pdf: Buffer): string {
  const objects = objectsOf(pdf)
  const words = new Map<string, Map<string, string>>()
  for (const { dictionary } of objects.values()) {
    const unicode = /\/ToUnicode (\d+) 0 R/.exec(dictionary)
    if (unicode) words.set(dictionary, lettersOf(objects.get(unicode[1]!)!.stream))
  }
  const fonts = new Map<string, Map<string, string>>()
  for (const { dictionary } of objects.values())
    for (const [, name, id] of dictionary.matchAll(/\/(F\d+) (\d+) 0 R/g))
      fonts.set(name!, words.get(objects.get(id!)!.dictionary)!)
  return [...objects.values()]
    .filter(({ stream }) => /\bTJ\b/.test(stream))
    .map(({ stream }) => linesOf(stream, fonts))
    .join('\n')
}

type PdfObject = { dictionary: string; stream: string }

function objectsOf(pdf: Buffer): Map<string, PdfObject> {
  const text = pdf.toString('latin1')
  const objects = new Map<string, PdfObject>()
  for (const [, id, body] of text.matchAll(/(?:^|\n)(\d+) 0 obj\n([\s\S]*?)\nendobj/g)) {
    const [, dictionary, packed] = /^([\s\S]*?)\nstream\r?\n([\s\S]*)\nendstream$/.exec(body!) ?? [null, body!, '']
    const isText = packed !== '' && !/\/(Length1|Subtype \/(CIDFontType0C|Type1C))/.test(dictionary!)
    const stream = isText && /FlateDecode/.test(dictionary!) ? inflate(packed!) : ''
    objects.set(id!, { dictionary: dictionary!, stream })
  }
  return objects
}

function inflate(packed: string): string {
  return inflateSync(Buffer.from(packed, 'latin1')).toString('latin1')
}

/** Of a font: which letters each of its glyphs stands for. */
function lettersOf(cmap: string): Map<string, string> {
  const letters = new Map<string, string>()
  for (const [, first, list] of cmap.matchAll(/<([0-9a-f]+)> <[0-9a-f]+> \[([^\]]*)\]/g))
    for (const [index, [, codes]] of [...list!.matchAll(/<([0-9a-f ]+)>/g)].entries()) {
      const glyph = (Number.parseInt(first!, 16) + index).toString(16).padStart(4, '0')
      letters.set(glyph, Buffer.from(codes!.replaceAll(' ', ''), 'hex').swap16().toString('utf16le'))
    }
  return letters
}

function linesOf(content: string, fonts: Map<string, Map<string, string>>): string {
  let font = new Map<string, string>()
  let line = ''
  const lines: string[] = []
  let height = ''
  for (const [token, name, at, shown] of content.matchAll(
    /\/(F\d+) [\d.]+ Tf|1 0 0 1 [-\d.]+ ([-\d.]+) Tm|\[([^\]]*)\] TJ/g,
  )) {
    if (name) font = fonts.get(name)!
    else if (at) {
      if (at !== height && line) lines.push(line)
      else if (line) line += ' '
      if (at !== height) line = ''
      height = at
    } else if (token)
      line += [...shown!.matchAll(/<([0-9a-f]+)>/g)]
        .flatMap(([, glyphs]) => glyphs!.match(/.{4}/g)!)
        .map((glyph) => font.get(glyph) ?? '\ufffd')
        .join('')
  }
  return [...lines, line].join('\n')
}
