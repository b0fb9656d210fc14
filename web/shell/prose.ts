export type Piece = { kind: 'words'; text: string } | { kind: 'support' } | { kind: 'link'; text: string; href: string }

const MARKS = /\[([^\]]+)\]\(([^)\s]+)\)|\{support\}/g

/** A sentence as it is written in a text, taken apart: words, links, and the address of support. Names in braces are put in. */
export function pieces(text: string, names: Record<string, string>): Piece[] {
  const found: Piece[] = []
  let at = 0
  const words = (until: number) => {
    const named = text.slice(at, until).replace(/\{(\w+)\}/g, (whole, name: string) => names[name] ?? whole)
    if (named) found.push({ kind: 'words', text: named })
  }
  for (const match of text.matchAll(MARKS)) {
    words(match.index)
    const [whole, label, href] = match
    found.push(label && href ? { kind: 'link', text: label, href } : { kind: 'support' })
    at = match.index + whole.length
  }
  words(text.length)
  return found
}

/** The same without its marks, to be searched in. */
export function plainWords(text: string): string {
  return text.replace(MARKS, (_, label?: string) => label ?? 'support')
}
