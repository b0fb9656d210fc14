import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usd } from '../../contract/money.ts'
import { type Letter, type Letterhead, printLetter } from './letter.ts'

const head: Letterhead = {
  brandName: 'MobileSMS',
  linkColour: null,
  publicUrl: 'https://sms.example',
  seller: { name: 'Ada Example Ltd', address: '1 Example Street, London', supportEmail: 'help@sms.example' },
}

const receipt: Letter = {
  subject: '$10.00 added',
  blocks: [
    'Your card was charged.',
    {
      rows: [
        { name: 'Paid by', value: 'Visa 3220' },
        { name: 'Amount', amount: usd('1000.00') },
        { name: 'Balance', amount: usd('1010.00'), total: true },
      ],
    },
    { button: 'See it', href: 'https://sms.example/billing?a=1&b=2' },
  ],
  why: 'You get this receipt because you topped up.',
  canSwitchOff: true,
}

/** What a reader of the HTML sees, without tags. */
const seen = (html: string) =>
  html
    .replace(/<(style|title|head)[\s\S]*?<\/\1>/g, ' ')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')

test('HTML and plain text say the same: sentences, rows, the button’s address, why, and who sends it', () => {
  const { subject, text, html } = printLetter(receipt, head)
  assert.equal(subject, '$10.00 added')
  const words = [
    '$10.00 added',
    'Your card was charged.',
    'Visa 3220',
    '$1,000.00',
    '$1,010.00',
    'See it',
    'You get this receipt because you topped up.',
    'MobileSMS, by Ada Example Ltd, 1 Example Street, London',
    'help@sms.example',
    'https://sms.example',
  ]
  for (const each of words) {
    assert.ok(text.includes(each), `text: ${each}`)
    assert.ok(seen(html).includes(each), `html: ${each}`)
  }
  assert.ok(text.includes('See it:\nhttps://sms.example/billing?a=1&b=2\n'))
  assert.ok(html.includes('href="https://sms.example/billing?a=1&amp;b=2"'))
  assert.ok(seen(html).includes('open this address: https://sms.example/billing?a=1&amp;b=2'))
})

test('a letter that can be switched off says where, and no other does', () => {
  const on = printLetter(receipt, head)
  assert.ok(on.text.includes('You can switch such mails off: https://sms.example/settings/mails'))
  assert.ok(on.html.includes('href="https://sms.example/settings/mails"'))
  const always = printLetter({ ...receipt, canSwitchOff: false }, head)
  assert.doesNotMatch(always.text + always.html, /switch|settings/i)
})

test('amounts stand at the right edge, words at the left', () => {
  const { html } = printLetter(receipt, head)
  const cells = [...html.matchAll(/<td align="(left|right)"[^>]*>([^<]*)<\/td>/g)].map((match) => [match[1], match[2]])
  assert.deepEqual(cells, [
    ['left', 'Visa 3220'],
    ['right', '$1,000.00'],
    ['right', '$1,010.00'],
  ])
})

test('every word is escaped, wherever it stands', () => {
  const evil = `<b onload="x('&')">`
  const { html, text, subject } = printLetter(
    {
      subject: evil,
      blocks: [
        evil,
        {
          rows: [
            { name: evil, value: evil },
            { name: evil, amount: usd('1.00') },
          ],
        },
        { button: evil, href: `https://sms.example/?q=${evil}` },
      ],
      why: evil,
    },
    { ...head, brandName: evil, seller: { name: evil, address: evil, supportEmail: evil } },
  )
  assert.doesNotMatch(html, /<b |onload="/)
  assert.ok(html.includes('&lt;b onload=&quot;x(&#39;&amp;&#39;)&quot;&gt;'))
  assert.equal(subject, evil)
  assert.ok(text.includes(evil))
})

test('a word cannot begin another line, nor turn the reading direction of what stands around it', () => {
  const { subject, text, html } = printLetter(
    { ...receipt, subject: 'Hello\r\nBcc: x@y.example\u202e\u0000', blocks: ['one\ntwo\u2066'] },
    head,
  )
  assert.equal(subject, 'Hello Bcc: x@y.example')
  assert.ok(text.startsWith('Hello Bcc: x@y.example\n\none two\n'))
  assert.doesNotMatch(text + html, /[\r\0\u202e\u2066]/)
})

test('a subject has at most 78 characters, cut at a word and never inside a character', () => {
  const long = printLetter({ ...receipt, subject: 'Credits '.repeat(20) }, head).subject
  assert.ok(long.length <= 78)
  assert.match(long, /^(Credits )+Credits…$/)
  const faces = printLetter({ ...receipt, subject: '😀'.repeat(60) }, head).subject
  assert.ok(faces.length <= 78 && faces.isWellFormed())
})

test('nothing comes from outside, and nobody is counted: no pictures, scripts, fonts or addresses but the letter’s own', () => {
  const { html } = printLetter(receipt, head)
  assert.doesNotMatch(
    html,
    /<(img|script|link|iframe|object|form|svg|video)\b|url\(|@import|@font-face|\bsrc=|background=/i,
  )
  const addresses = [...html.matchAll(/(?:https?:)?\/\/[^"\s<)]+/g)].map((match) => new URL(match[0]).origin)
  assert.deepEqual([...new Set(addresses)], ['https://sms.example'])
})

test('dark readers get dark paper, by a style sheet; others need none', () => {
  const { html } = printLetter(receipt, head)
  const dark = /@media \(prefers-color-scheme: dark\) \{([\s\S]*?)\n\}/.exec(html)?.[1] ?? ''
  for (const name of ['paper', 'sheet', 'ink', 'quiet', 'link', 'line', 'total', 'button'])
    assert.match(dark, new RegExp(`\\.${name} \\{[^}]*#[0-9a-f]{6} !important`), name)
  assert.ok(html.includes('<meta name="color-scheme" content="light dark">'))
  // Whatever takes a colour in the dark has a light one on the element itself.
  for (const [, classes, style] of html.matchAll(/class="([^"]+)" style="([^"]+)"/g)) {
    assert.match(style!, /#[0-9a-f]{6}/, `${classes} has no colour of its own`)
    assert.doesNotMatch(style!, /var\(/)
  }
})

test('the colour of links is the operator’s', () => {
  assert.ok(printLetter(receipt, { ...head, linkColour: '#1A5FB4' }).html.includes('color:#1A5FB4'))
})

test('it holds its width: 600 px where there is room, the screen where there is not', () => {
  const { html } = printLetter(receipt, head)
  assert.ok(html.includes('width="600" style="width:100%;max-width:600px'))
  assert.ok(html.length < 100_000, 'mail programs cut longer letters off')
})

test('a button leads to the web and nowhere else', () => {
  for (const href of ['javascript:alert(1)', 'data:text/html,x', '/settings', 'mailto:a@b.example'])
    assert.throws(() => printLetter({ ...receipt, blocks: [{ button: 'x', href }] }, head), /http and https/)
})
