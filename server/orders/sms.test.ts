/** The table of what is a code and what is not. The customer pays for the first kind and sees the second for nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readCode, SMS_TEXT_CHARACTERS_MAX } from './sms.ts'

const codes: [text: string, code: string][] = [
  ['Your Telegram code is 48213', '48213'],
  ['Telegram code: 48213\n\nYou can also tap on this link to log in:\nhttps://t.me/login/48213', '48213'],
  ['Your WhatsApp code: 123-456\n\nYou can also tap this link to verify your phone: v.whatsapp.com/123456', '123456'],
  ['G-482913 is your Google verification code.', '482913'],
  ['FB-48291 is your Facebook confirmation code', '48291'],
  ['482913 is your Instagram code. Don’t share it.', '482913'],
  ['Use 4829 to sign in. It expires in 10 minutes.', '4829'],
  ['Your code is 123 456. Valid for 15 minutes.', '123456'],
  ['[TikTok] 4829 is your verification code, valid for 5 minutes.', '4829'],
  ['Your Amazon OTP is 482913. Do not share it with anyone, call +1 800 555 0100.', '482913'],
  ['Ihr Bestätigungscode lautet 482913. Er ist 10 Minuten gültig.', '482913'],
  ['153420 ist Ihr Amazon-Einmalkennwort.', '153420'],
  [
    '153420 ist Ihr Amazon-Einmalkennwort. Geben Sie es an niemanden weiter, auch nicht an unsere Mitarbeiter.',
    '153420',
  ],
  ['Je verificatiecode is 482913, deel hem nooit met iemand anders dan jezelf alsjeblieft', '482913'],
  ['Tu código de verificación es 4829', '4829'],
  ['Votre code est 482 913', '482913'],
  ['Il tuo codice: 48291', '48291'],
  ['Ваш код подтверждения: 482913. Никому не сообщайте.', '482913'],
  ['【微信】验证码 482913，请勿泄露', '482913'],
  ['認証コードは 4829 です', '4829'],
  ['رمز التحقق الخاص بك هو ٤٨٢٩١٣', '482913'],
  ['आपका ओटीपी ४८२९१३ है', '482913'],
  ['인증번호 [482913]를 입력하세요', '482913'],
  ['Twój kod weryfikacyjny to 482913', '482913'],
  ['Your verification code is A1B2C3', 'A1B2C3'],
  ['Your login code: XK4-92P', 'XK4-92P'],
  ['Steam access code: KXQPL', 'KXQPL'],
  ['482913', '482913'],
  ['123-456', '123456'],
  ['Code 482913\n@example.com #482913', '482913'],
  ['Order 55512345: your code is 4829', '4829'],
  ['PIN 0042', '0042'],
  ['<#> Your Discord security code is: 482913 hK7xQzPq1aB', '482913'],
]

const none: string[] = [
  'Welcome to Telegram!',
  'Your balance is $1234.56',
  'Your balance is 12345 USD. Thank you for being with us since 2021.',
  'Call us at +44 20 7946 0123 for support.',
  'Your order 12345678 has been shipped and will arrive on 12.05.2026.',
  'Meeting moved to 14:30 on 2026-11-22, see you there and bring the 3 documents with you.',
  'Get 50% off today only! Shop at example.com/12345 now.',
  'Payment with card ending in 4242 was made at a shop near you yesterday evening.',
  '',
  '   ',
  'Your code was sent to your e-mail.',
  'Do not share this code with anyone.',
]

for (const [text, code] of codes)
  test(`the code is ${code}: ${JSON.stringify(text)}`, () => assert.equal(readCode(text), code))
for (const text of none) test(`no code: ${JSON.stringify(text)}`, () => assert.equal(readCode(text), null))

test('any six digits behind "your code is" are read, in any surroundings of words', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 999_999 }).map((n) => String(n).padStart(6, '0')),
      fc.array(fc.constantFrom('please', 'do', 'not', 'share', 'it', 'with', 'anyone'), { maxLength: 12 }),
      (code, words) => readCode(`Your code is ${code}. ${words.join(' ')}`) === code,
    ),
  )
})

test('no text breaks the reader, and what it reads stands in the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      const code = readCode(text)
      return code === null || /^[A-Z0-9-]{4,11}$/.test(code)
    }),
  )
})

test('no text takes long to read: whoever knows a number may send it anything', () => {
  const pieces = [
    '@',
    'a@',
    '.',
    'a.',
    '-',
    'A-',
    'A1',
    '1',
    '1 ',
    '1234 ',
    '123-',
    'code',
    'code ',
    'code:',
    'aé',
    'é',
    '#1',
    ' ',
    '+1 ',
    'www.',
  ]
  const timed = (text: string) => {
    const begun = performance.now()
    readCode(text)
    return performance.now() - begun
  }
  // An ordinary text of the same length is the measure, so that a slow machine is slow on both sides.
  const ordinary = 'Your code is 48213, do not share it. '.repeat(60).slice(0, SMS_TEXT_CHARACTERS_MAX)
  const measure = Math.max(0.2, [1, 2, 3, 4, 5].map(() => timed(ordinary)).sort((a, b) => a - b)[2]!)
  for (const first of pieces) {
    for (const second of pieces) {
      const half = SMS_TEXT_CHARACTERS_MAX / 2
      const text = first.repeat(half).slice(0, half) + second.repeat(half).slice(0, half)
      // The best of three: a pause of the machine is not the reader's. What backtracks without end takes many thousand times as
      // long, and nobody else is answered meanwhile.
      let ratio = timed(text) / measure
      for (let again = 0; ratio >= 500 && again < 2; again++) ratio = Math.min(ratio, timed(text) / measure)
      assert.ok(
        ratio < 500,
        `${ratio.toFixed(0)} times an ordinary text: ${JSON.stringify(first)}, ${JSON.stringify(second)}`,
      )
    }
  }
})
