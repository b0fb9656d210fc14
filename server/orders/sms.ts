/** Reads the code out of an SMS. Pure: the same text always gives the same answer. */

/** Longer texts are not SMS (a concatenated SMS has at most 255 parts of 153 characters). Unit: characters. */
export const SMS_TEXT_CHARACTERS_MAX = 2_000

// What stands near a code, in the languages of the countries we sell: "code", "PIN", "password", "verification" and their kin.
const HINT =
  /\b(?:\p{L}*(?:code|kode|kood|kod|kennwort|passwort|wachtwoord|l[oö]senord)s?|c[oó]digo|kode|kod|kodu|koodi|k[oó]d|codice|codul|otp|pin|tan|passcode|password|passwort|contrase[nñ]a|mot de passe|verification|verify|verifica\w*|verificaci[oó]n|v[eé]rification|best[aä]tigung\w*|bekr[aä]ft\w*|sicherheitscode|dogrulama|do[gğ]rulama|weryfikacyjn\w*|confirm\w*|confirmaci[oó]n|login|log in|sign in|access|security)\b|код|пароль|парол|کد|رمز|الرمز|كود|קוד|验证码|驗證碼|校验码|认证|確認コード|認証|コード|인증|번호|รหัส|mã|कोड|ओटीपी/iu

// Digits that other scripts write: Arabic-Indic, Persian, Devanagari, full width. People must type them, so they are shown as 0–9.
const FOREIGN_DIGITS = /[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19]/g

const LINK = /\b(?:https?:\/\/|www\.)\S+|\b[a-z0-9-]+\.(?:com|org|net|me|io|ly|co|app|gg|ru|de|uk)\/\S*/gi

/**
 * The code in a text, or null when there is none: then the message is shown and nothing is charged.
 *
 * A code is 4 to 8 digits, alone ("48213"), in two groups ("123-456", "123 456"), or behind a short prefix that belongs to it
 * ("G-482913" gives "482913"); or 4 to 10 capital letters and digits with at least one digit, or all letters right behind a word
 * for "code". Not a code: phone numbers, prices, dates, times, years in prose, percentages, parts of links, lengths ("10 minutes").
 * Of several candidates the one nearest to a word for "code" wins.
 */
export function readCode(text: string): string | null {
  const plain = text
    .slice(0, SMS_TEXT_CHARACTERS_MAX)
    .replace(FOREIGN_DIGITS, (digit) => String(digitValue(digit)))
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .replace(/[\u2010-\u2015\u2212]/g, '-')
    .replace(/\u00a0/g, ' ')
  // Links, mail addresses and the line that tells a browser which site a code is for ("@site.example #123456") are cut out.
  const readable = plain.replace(/\S+/g, (word) => (isMailAddress(word) ? blank(word) : word.replace(LINK, blank)))
  const hints = [...readable.matchAll(new RegExp(HINT, 'giu'))].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }))
  let best: { code: string; score: number } | null = null
  for (const candidate of candidates(readable)) {
    const distance = nearest(hints, candidate.start, candidate.end)
    const score = candidate.weight + (distance === null ? 0 : Math.max(0, 60 - distance))
    // A short run of digits with no word for "code" anywhere is not enough, unless the text is hardly more than the code.
    const lonely = distance === null && readable.trim().length > candidate.length + 40
    if (!lonely && (best === null || score > best.score)) best = { code: candidate.code, score }
  }
  return best?.code ?? null
}

const blank = (text: string) => ' '.repeat(text.length)

/** Something, an @, something, a dot, something. Not by a pattern: it would try every split of a text that is all @, for seconds. */
function isMailAddress(word: string): boolean {
  const at = word.indexOf('@', 1)
  return at !== -1 && /.\../s.test(word.slice(at + 1))
}

type Candidate = { code: string; start: number; end: number; length: number; weight: number }

function* candidates(text: string): Generator<Candidate> {
  // Digits: one group of 4 to 8, or two groups of 3 to 4 joined by a dash or a space; a prefix such as "G-" is dropped.
  const digits =
    /(?<![\d.,:/+$€£¥₽#*-]|\d[ ])(?:[A-Z]{1,2}-)?(\d{3,4}[- ]\d{3,4}|\d{4,8})(?![\d%€£₽]|[.,:/]\d|-\d|[ ]\d{2,})/g
  for (const match of text.matchAll(digits)) {
    const code = match[1]!.replace(/[- ]/g, '')
    if (!isOtherNumber(text, match.index, match.index + match[0].length, code)) {
      yield {
        code,
        start: match.index,
        end: match.index + match[0].length,
        length: match[0].length,
        weight: code.length === 6 ? 22 : 20,
      }
    }
  }
  // "#123456" is what browsers read; the same code usually stands in the text too.
  for (const match of text.matchAll(/(?:^|\s)#(\d{4,8})\b/g)) {
    yield {
      code: match[1]!,
      start: match.index,
      end: match.index + match[0].length,
      length: match[0].length,
      weight: 5,
    }
  }
  // Letters and digits mixed: "A1B2C3", "XK4-92P".
  for (const match of text.matchAll(
    /(?<![\w-])(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])([A-Z0-9]{4,10}|[A-Z0-9]{3,5}-[A-Z0-9]{3,5})(?![\w-])/g,
  )) {
    if (/^[A-Z]{1,2}-\d+$/.test(match[1]!) || /^\d{1,4}(?:AM|PM|GB|MB|USD|EUR|GBP|RUB|MIN|SEC|H)$/.test(match[1]!))
      continue
    yield {
      code: match[1]!,
      start: match.index,
      end: match.index + match[0].length,
      length: match[0].length,
      weight: 12,
    }
  }
  // Letters only, right behind a word for "code" and a colon or "is": "code: KXQPLM".
  for (const match of text.matchAll(
    /(?:code|código|codigo|kode|codice|код|pin|otp|password)(?:\s+(?:is|es|est|ist|è))?\s*[:=]?\s*["'«]?([A-Z]{4,10})(?![\w-])/g,
  )) {
    const start = match.index + match[0].length - match[1]!.length
    yield { code: match[1]!, start, end: match.index + match[0].length, length: match[1]!.length, weight: 8 }
  }
}

/** Numbers that are something else: a phone number, money, a year, a duration, an order or card ending. */
function isOtherNumber(text: string, start: number, end: number, code: string): boolean {
  const before = text.slice(Math.max(0, start - 28), start)
  const behind = text.slice(end, end + 16)
  if (/(?:\+\d{1,3}[ (]*|\btel\.?:?\s*|\bcall\s+|\bphone:?\s*|\bfrom\s+\+?)$/i.test(before)) return true
  if (
    /(?:usd|eur|gbp|rub|rs\.?|inr|[$€£¥₽])\s*$/i.test(before) ||
    /^\s*(?:usd|eur|gbp|rub|dollars?|euros?|руб|₽|€)/i.test(behind)
  )
    return true
  if (
    /^\s*(?:min\b|mins\b|minutes?|minuten|minutos?|мин|sec\b|seconds?|hours?|stunden|horas|days?|tage|points?|credits?|mb\b|gb\b)/i.test(
      behind,
    )
  ) {
    return true
  }
  if (
    /(?:ending in|ends with|endet auf|card|order|invoice|ticket|account|konto|заказ)\s*(?:no\.?|number|nr\.?)?\s*[#:*x]*\s*$/i.test(
      before,
    )
  )
    return true
  if (
    /^(?:19|20)\d\d$/.test(code) &&
    /(?:©|\bin|\bsince|\bof|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*\.?(?: \d{1,2},?)?)\s*$/i.test(
      before,
    )
  ) {
    return true
  }
  return false
}

/** Characters between a candidate and the nearest word for "code"; null: there is none. */
function nearest(hints: { start: number; end: number }[], start: number, end: number): number | null {
  let best: number | null = null
  for (const hint of hints) {
    const distance = hint.end <= start ? start - hint.end : hint.start >= end ? hint.start - end : 0
    if (best === null || distance < best) best = distance
  }
  return best
}

function digitValue(digit: string): number {
  const point = digit.codePointAt(0)!
  for (const zero of [0x0660, 0x06f0, 0x0966, 0xff10]) if (point >= zero && point <= zero + 9) return point - zero
  throw new Error(`Not a digit: ${digit}`)
}
