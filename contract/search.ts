/** What fits the words that somebody types to find a service or a country; the same on the page and in the interface. */

/** The words, in small letters without accents: people type "turkiye". */
export function searchWords(typed: string): string[] {
  return fold(typed).split(/\s+/).filter(Boolean)
}

/** The word begins the name, or a word of it. */
export function beginsWordOf(name: string, word: string): boolean {
  const folded = fold(name)
  return folded.startsWith(word) || folded.split(/[\s/()-]+/).some((part) => part.startsWith(word))
}

/** The word begins a word of the country's name, or is its code or its dial code, with or without the plus sign. */
export function meansCountry(country: { code: string; name: string; dial_code: string }, word: string): boolean {
  return (
    beginsWordOf(country.name, word) ||
    country.code.toLowerCase() === word ||
    (/^\+?\d+$/.test(word) && country.dial_code.replace('+', '') === word.replace('+', ''))
  )
}

function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().trim()
}
