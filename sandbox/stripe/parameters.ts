/**
 * Reads the parameters of a call, strictly: what is unknown is refused, as the real API does, so that a misspelt name is
 * noticed here and not on the first day with real cards.
 */
import { StripeRefusal } from './errors.ts'
import type { FormValue } from './form.ts'

type Reader<Value> = (value: FormValue, param: string) => Value
type Shape = Record<string, Reader<unknown>>
export type Read<S extends Shape> = { [Name in keyof S]?: ReturnType<S[Name]> }

/** A string of at most `lengthMax` characters (Stripe's own limit is 5,000 where it states none). */
export function text(lengthMax = 5_000): Reader<string> {
  return (value, param) => {
    if (typeof value !== 'string') throw new StripeRefusal(400, 'Invalid string', { param })
    if (value === '')
      throw new StripeRefusal(
        400,
        `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; however '${param}' cannot be unset. You should remove '${param}' from your request or supply a non-empty value.`,
        { code: 'parameter_invalid_empty', param },
      )
    if (value.length > lengthMax)
      throw new StripeRefusal(
        400,
        `Invalid string: ${value.slice(0, 10)}...; must be at most ${lengthMax} characters`,
        {
          param,
        },
      )
    return value
  }
}

/** A string, or an empty one that takes away what was there: null. */
export function unsettable(lengthMax: number): Reader<string | null> {
  const read = text(lengthMax)
  return (value, param) => (value === '' ? null : read(value, param))
}

export const whole: Reader<number> = (value, param) => {
  if (typeof value !== 'string' || !/^-?\d{1,15}$/.test(value))
    throw new StripeRefusal(400, `Invalid integer: ${typeof value === 'string' ? value : 'object'}`, {
      code: 'parameter_invalid_integer',
      param,
    })
  return Number(value)
}

export const positive: Reader<number> = (value, param) => {
  const number = whole(value, param)
  if (number < 1)
    throw new StripeRefusal(400, 'This value must be greater than or equal to 1.', {
      code: 'parameter_invalid_integer',
      param,
    })
  return number
}

export const flag: Reader<boolean> = (value, param) => {
  if (value !== 'true' && value !== 'false')
    throw new StripeRefusal(400, `Invalid boolean: ${typeof value === 'string' ? value : 'object'}`, { param })
  return value === 'true'
}

export function oneOf<const Word extends string>(...words: Word[]): Reader<Word> {
  return (value, param) => {
    const word = words.find((each) => each === value)
    if (!word) throw new StripeRefusal(400, `Invalid ${param}: must be one of ${words.join(', ')}`, { param })
    return word
  }
}

export const address: Reader<string> = (value, param) => {
  const written = text()(value, param)
  // The template word is no part of a URL's grammar, yet Stripe takes it anywhere in the text.
  const parsed = URL.parse(written.replaceAll('{CHECKOUT_SESSION_ID}', 'x'))
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol))
    throw new StripeRefusal(400, 'Not a valid URL', { code: 'url_invalid', param })
  return written
}

export const email: Reader<string> = (value, param) => {
  const written = text(512)(value, param)
  if (!/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(written))
    throw new StripeRefusal(400, `Invalid email address: ${written}`, { code: 'email_invalid', param })
  return written
}

/** At most 50 keys of at most 40 characters, values of at most 500. */
export const metadata: Reader<Record<string, string>> = (value, param) => {
  if (typeof value === 'string') {
    if (value === '') return {}
    throw new StripeRefusal(400, 'Invalid object', { param })
  }
  const entries = Object.entries(value)
  if (entries.length > 50) throw new StripeRefusal(400, 'You can specify up to 50 metadata keys.', { param })
  for (const [key, held] of entries) {
    if (key.length > 40)
      throw new StripeRefusal(400, `Metadata keys must be at most 40 characters: ${key.slice(0, 40)}`, { param })
    if (typeof held !== 'string' || held.length > 500)
      throw new StripeRefusal(400, 'Metadata values can have up to 500 characters', { param: `${param}[${key}]` })
  }
  return { ...(value as Record<string, string>) }
}

export function listOf<Item>(item: Reader<Item>, lengthMax: number): Reader<Item[]> {
  return (value, param) => {
    if (typeof value === 'string') throw new StripeRefusal(400, 'Invalid array', { param })
    const places = Object.keys(value)
    if (places.some((place) => !/^\d+$/.test(place))) throw new StripeRefusal(400, 'Invalid array', { param })
    if (places.length > lengthMax)
      throw new StripeRefusal(400, `Array too long: maximum size is ${lengthMax}`, { param })
    return places.map((place) => item(value[place]!, `${param}[${place}]`))
  }
}

/** A branch with known names; everything else in it is `parameter_unknown`. */
export function branch<S extends Shape>(shape: S): Reader<Read<S>> {
  return (value, param) => {
    if (typeof value === 'string') throw new StripeRefusal(400, 'Invalid object', { param })
    const named = (name: string) => (param ? `${param}[${name}]` : name)
    const unknown = Object.keys(value).filter((name) => !Object.hasOwn(shape, name))
    if (unknown.length > 0)
      throw new StripeRefusal(
        400,
        `Received unknown parameter${unknown.length > 1 ? 's' : ''}: ${unknown.map(named).join(', ')}`,
        { code: 'parameter_unknown', param: named(unknown[0]!) },
      )
    const read: Record<string, unknown> = {}
    for (const [name, held] of Object.entries(value)) read[name] = shape[name]!(held, named(name))
    return read as Read<S>
  }
}

export function required<Value>(value: Value | undefined, param: string): Value {
  if (value === undefined)
    throw new StripeRefusal(400, `Missing required param: ${param}.`, { code: 'parameter_missing', param })
  return value
}

/** Everybody's parameter: the paths of what is to be answered whole instead of as an id. */
export const expand = listOf(text(200), 20)
