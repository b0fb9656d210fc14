/**
 * Where somebody wanted to go when he began to join. The mail's link may open in another tab, so it waits in the browser, not in
 * the address; it is taken once.
 */
const NAME = 'mobilesms.wanted'

export function keepWanted(address: string | undefined): void {
  try {
    if (address) localStorage.setItem(NAME, address)
    else localStorage.removeItem(NAME)
  } catch {
    // A browser that keeps nothing leads Home instead.
  }
}

export function takeWanted(): string | null {
  try {
    const kept = localStorage.getItem(NAME)
    localStorage.removeItem(NAME)
    return kept
  } catch {
    return null
  }
}
