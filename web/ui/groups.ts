const SHORTEST_GROUPED = 6

/** Digits in groups of three from six digits on (the last group takes what is left over when that is one digit); else whole. */
export function groups(text: string, lead = ''): string[] {
  if (lead && text.startsWith(lead)) return [lead, ...inThrees(text.slice(lead.length))]
  return inThrees(text)
}

/** An address in groups of four, which one can compare with another screen; what stands before it (`0x`, `bc1`) by itself. */
export function inFours(text: string, lead = ''): string[] {
  const own = lead !== '' && text.startsWith(lead)
  return [...(own ? [lead] : []), ...((own ? text.slice(lead.length) : text).match(/.{1,4}/g) ?? [])]
}

function inThrees(text: string): string[] {
  if (!/^\d+$/.test(text) || text.length < SHORTEST_GROUPED) return text ? [text] : []
  const parts = text.match(/\d{1,3}/g) ?? []
  const last = parts.at(-1)!
  return last.length === 1 ? [...parts.slice(0, -2), parts.at(-2)! + last] : parts
}
