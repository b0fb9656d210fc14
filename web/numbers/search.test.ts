import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Price } from '../../contract/contract.ts'
import { findPrices, pairKey, successWords, withFound } from './search.ts'

const services: Record<string, string> = { telegram: 'Telegram', google: 'Google', x: 'X (Twitter)' }
const countries: Record<string, string> = { GB: 'United Kingdom', US: 'United States', TR: 'Türkiye' }
const dials: Record<string, string> = { GB: '+44', US: '+1', TR: '+90' }
const names = {
  service: (code: string) => services[code]!,
  country: (code: string) => countries[code]!,
  dialCode: (code: string) => dials[code]!,
}

const price = (service: string, country: string, amount: string, in_stock = 5): Price => ({
  service,
  country,
  price: amount,
  in_stock,
  success_rate: null,
  success_base: 0,
})
const prices = [
  price('telegram', 'GB', '1.20'),
  price('telegram', 'US', '0.90', 0),
  price('telegram', 'TR', '10.00'),
  price('google', 'GB', '0.40'),
  price('google', 'US', '0.60'),
  price('x', 'TR', '0.50'),
]
const found = (typed: string, rowsMax = 20) =>
  findPrices(prices, names, typed, rowsMax).first.map(({ service, country }) => `${service} ${country}`)

test('nothing typed: each service once, where it is cheapest and free', () => {
  assert.deepEqual(found(''), ['telegram GB', 'google GB', 'x TR'])
  assert.equal(findPrices(prices, names, '', 20).more, 3)
})

test('words begin the words of a name, whatever their order, case and accents', () => {
  assert.deepEqual(found('TELE king'), ['telegram GB'])
  assert.deepEqual(found('king tele'), ['telegram GB'])
  assert.deepEqual(found('turkiye'), ['x TR', 'telegram TR'])
  assert.deepEqual(found('twit'), ['x TR'])
  assert.deepEqual(found('gram'), [])
})

test('a country is found by its code and its dial code', () => {
  assert.deepEqual(found('gb'), ['google GB', 'telegram GB'])
  assert.deepEqual(found('+44'), ['google GB', 'telegram GB'])
  assert.deepEqual(found('44'), ['google GB', 'telegram GB'])
})

test('pairs without a free number come last, and prices are compared as numbers', () => {
  assert.deepEqual(found('telegram'), ['telegram GB', 'telegram TR', 'telegram US'])
})

test('favourites come first, with nothing typed also those that are not the cheapest', () => {
  const favourites = new Set(['x TR', 'telegram TR'])
  const first = (typed: string) => findPrices(prices, names, typed, 20, favourites).first.map(pairKey)
  assert.deepEqual(first(''), ['telegram TR', 'x TR', 'telegram GB', 'google GB'])
  assert.deepEqual(first('telegram'), ['telegram TR', 'telegram GB', 'telegram US'])
  assert.deepEqual(first('google'), ['google GB', 'google US'])
})

test('what the server found is added to a part of the catalogue, and is fresher', () => {
  const found = [price('telegram', 'GB', '1.30'), price('x', 'GB', '0.70')]
  const all = withFound(prices, found)
  assert.equal(all.length, prices.length + 1)
  assert.deepEqual(
    all.filter((each) => each.service === 'telegram' && each.country === 'GB').map((each) => each.price),
    ['1.30'],
  )
  assert.equal(withFound(prices, []), prices)
})

test('what does not fit the list is counted', () => {
  assert.deepEqual(findPrices(prices, names, 'telegram', 2).first.length, 2)
  assert.equal(findPrices(prices, names, 'telegram', 2).more, 1)
})

test('a success rate stands on twenty numbers at least and is never rounded up', () => {
  assert.equal(successWords({ success_rate: 0.919, success_base: 412 }), '91 % of 412')
  assert.equal(successWords({ success_rate: 1, success_base: 20 }), '100 % of 20')
  assert.equal(successWords({ success_rate: 1, success_base: 19 }), 'new')
  assert.equal(successWords({ success_rate: null, success_base: 0 }), 'new')
})
