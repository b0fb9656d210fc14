/**
 * A letter: from words to what a mail carries, as HTML and as plain text.
 *
 * The HTML is made for mail programs, not for browsers: tables, every style on its element, nothing from outside (no pictures, no
 * fonts, no counting of who opened it). Colours are the look's (web/ui/tokens.css), light and dark.
 */
import { displayAmount, printAmount, type Usd } from '../../contract/money.ts'

/** What a room writes. Every word is escaped, and control characters are dropped. */
export type Letter = {
  /** What the list of mails shows, and the letter's title. Cut to 78 characters (RFC 5322, 2.1.1). */
  subject: string
  /** In this order. A string is a paragraph. */
  blocks: Block[]
  /** The last sentence: why this letter came to this person. */
  why: string
  /** True: Settings has a switch for letters of this kind; the letter says so and links it. */
  canSwitchOff?: boolean
}

export type Block =
  | string
  /** The one thing to do, and its address: http or https. */
  | { button: string; href: string }
  | { rows: Row[] }

/** A line of a receipt. Amounts stand right-aligned; `total` has the thick line above. */
export type Row = { name: string; value: string } | { name: string; amount: Usd; total?: boolean }

/** Whose letter it is: the same on every one. */
export type Letterhead = {
  brandName: string
  linkColour: string | null
  publicUrl: string
  seller: { name: string; address: string; supportEmail: string }
}

export type PrintedLetter = { subject: string; text: string; html: string }

const SUBJECT_CHARACTERS_MAX = 78
const SETTINGS_PATH = '/settings/mails'

type Colour = 'paper' | 'sheet' | 'ink' | 'quiet' | 'link' | 'rule'
const light: Record<Colour, string> = {
  paper: '#f3f6f4',
  sheet: '#ffffff',
  ink: '#14211c',
  quiet: '#52625a',
  link: '#00596b',
  rule: '#d3dcd7',
}
const dark: Record<Colour, string> = {
  paper: '#0f1513',
  sheet: '#161e1b',
  ink: '#e7eeea',
  quiet: '#a2b1a9',
  link: '#6cc5d6',
  rule: '#2b3732',
}

/** Where a letter's receiver switches such letters off. */
export function switchOffUrl(head: Letterhead): string {
  return `${head.publicUrl}${SETTINGS_PATH}`
}

export function printLetter(letter: Letter, head: Letterhead): PrintedLetter {
  const subject = cut(onOneLine(letter.subject), SUBJECT_CHARACTERS_MAX)
  return { subject, text: asText(letter, head), html: asHtml(letter, subject, head) }
}

function asText(letter: Letter, head: Letterhead): string {
  const blocks = letter.blocks.map((block) => {
    if (typeof block === 'string') return onOneLine(block)
    if ('button' in block) return `${onOneLine(block.button)}:\n${webAddress(block.href)}`
    return block.rows.map((row) => `${onOneLine(row.name)}: ${shown(row)}`).join('\n')
  })
  // Two hyphens and a space: mail programs know that what follows is the sender's signature.
  const end = ['-- ', onOneLine(letter.why)]
  if (letter.canSwitchOff) end.push(`You can switch such mails off: ${switchOffUrl(head)}`)
  end.push(...signature(head), head.publicUrl)
  return `${[onOneLine(letter.subject), ...blocks].join('\n\n')}\n\n${end.join('\n')}\n`
}

function asHtml(letter: Letter, subject: string, head: Letterhead): string {
  const colours = { ...light, link: head.linkColour ?? light.link }
  const brand = escaped(head.brandName)
  const home = escaped(webAddress(head.publicUrl))

  /** A class for the dark colours, and the light ones on the element itself, for programs that know no style sheet. */
  const paint = (classes: string, style: string) =>
    `class="${classes}" style="${style.replace(/var\((\w+)\)/g, (_, name: Colour) => colours[name])}"`
  const paragraph = (words: string) =>
    `<p ${paint('ink', 'margin:16px 0 0;color:var(ink);font-size:15px;line-height:22px')}>${words}</p>`
  const link = (href: string, words: string) =>
    `<a href="${href}" ${paint('link', 'color:var(link);text-decoration:underline')}>${words}</a>`

  function blockHtml(block: Block): string {
    if (typeof block === 'string') return paragraph(escaped(block))
    if ('button' in block) {
      const href = escaped(webAddress(block.href))
      return `<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:24px 0 0"><tr>
<td ${paint('button', 'background-color:var(ink);border-radius:3px')}><a href="${href}" ${paint('button', 'display:inline-block;padding:11px 20px;background-color:var(ink);border-radius:3px;color:var(sheet);font-size:15px;line-height:22px;font-weight:600;text-decoration:none')}>${escaped(block.button)}</a></td>
</tr></table>
<p ${paint('quiet', 'margin:16px 0 0;color:var(quiet);font-size:13px;line-height:18px;word-break:break-word;overflow-wrap:anywhere')}>If the button does nothing, open this address: ${link(href, href)}</p>`
    }
    return `<table cellpadding="0" cellspacing="0" border="0" width="100%" style="width:100%;margin:24px 0 0;border-collapse:collapse">
${block.rows.map(rowHtml).join('\n')}
</table>`
  }

  function rowHtml(row: Row): string {
    const amount = 'amount' in row
    const total = amount && row.total === true
    const line = total ? 'border-top:2px solid var(ink)' : 'border-top:1px solid var(rule)'
    const cell = `${line};padding:9px 0;font-size:15px;line-height:22px;vertical-align:top;${total ? 'font-weight:600' : 'font-weight:400'}`
    const classes = total ? 'total' : 'line'
    return `<tr>
<th scope="row" align="left" ${paint(`${classes} ${total ? 'ink' : 'quiet'}`, `${cell};color:var(${total ? 'ink' : 'quiet'});text-align:left;padding-right:16px`)}>${escaped(row.name)}</th>
<td align="${amount ? 'right' : 'left'}" ${paint(`${classes} ink`, `${cell};color:var(ink);${amount ? 'text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums' : 'text-align:left;word-break:break-word;overflow-wrap:anywhere'}`)}>${escaped(shown(row))}</td>
</tr>`
  }

  const note = 'margin:0;color:var(quiet);font-size:13px;line-height:18px'
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escaped(subject)}</title>
<style>
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  .paper { background-color: ${dark.paper} !important; }
  .sheet { background-color: ${dark.sheet} !important; border-top-color: ${dark.ink} !important; }
  .ink { color: ${dark.ink} !important; }
  .quiet { color: ${dark.quiet} !important; }
  .link { color: ${dark.link} !important; }
  .line { border-top-color: ${dark.rule} !important; }
  .total { border-top-color: ${dark.ink} !important; }
  .button { background-color: ${dark.ink} !important; color: ${dark.sheet} !important; }
}
</style>
</head>
<body ${paint('paper', 'margin:0;padding:0;background-color:var(paper);-webkit-text-size-adjust:100%')}>
<div role="main">
<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%" ${paint('paper', "width:100%;background-color:var(paper);font-family:'Atkinson Hyperlegible Next',system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif")}>
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="600" style="width:100%;max-width:600px;text-align:left">
<tr><td ${paint('ink', 'padding:0 24px 12px;color:var(ink);font-size:15px;line-height:22px;font-weight:600')}>${brand}</td></tr>
<tr><td ${paint('sheet', 'padding:24px;background-color:var(sheet);border-top:2px solid var(ink)')}>
<h1 ${paint('ink', 'margin:0;color:var(ink);font-size:24px;line-height:32px;font-weight:600')}>${escaped(letter.subject)}</h1>
${letter.blocks.map(blockHtml).join('\n')}
</td></tr>
<tr><td style="padding:16px 24px 0">
<p ${paint('quiet', note)}>${escaped(letter.why)}${letter.canSwitchOff ? ` ${link(escaped(switchOffUrl(head)), 'Switch such mails off')}.` : ''}</p>
<p ${paint('quiet', `${note};margin-top:8px`)}>${signature(head).map(escaped).join('<br>')}<br>${link(home, home)}</p>
</td></tr>
</table>
</td></tr>
</table>
</div>
</body>
</html>
`
}

/** Who sends it, and where a person is reached. */
function signature({ brandName, seller }: Letterhead): string[] {
  const sender = seller.name === brandName ? seller.name : `${brandName}, by ${seller.name}`
  return [`${sender}, ${seller.address}`, `Questions: ${seller.supportEmail}`].map(onOneLine)
}

function shown(row: Row): string {
  return 'amount' in row ? displayAmount(printAmount(row.amount)) : onOneLine(row.value)
}

/** As text between tags and inside quotes. */
function escaped(words: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return onOneLine(words).replace(/[&<>"']/g, (character) => entities[character]!)
}

/** Without line breaks, and without the characters that turn the reading direction: a name must not rewrite what stands around it. */
function onOneLine(words: string): string {
  return words
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .trim()
}

/** At a word where that keeps at least half; never inside a character. */
function cut(words: string, charactersMax: number): string {
  if (words.length <= charactersMax) return words
  const whole = words.slice(0, charactersMax - 1).replace(/[\ud800-\udbff]$/, '')
  const space = whole.lastIndexOf(' ')
  return `${(space > charactersMax / 2 ? whole.slice(0, space) : whole).trimEnd()}…`
}

/** A letter leads to the web and nowhere else. */
function webAddress(href: string): string {
  const url = URL.parse(href)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new Error('A letter may link http and https addresses only')
  return url.origin === href ? href : url.href
}
