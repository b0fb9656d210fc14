/**
 * Stripe's request bodies: form-encoded with brackets, `line_items[0][price_data][currency]=usd`, `expand[]=payment_intent`.
 */
export type Form = { [name: string]: FormValue }
export type FormValue = string | Form

const PAIRS_MAX = 500
const DEPTH_MAX = 8

/** Null: the text is no form of ours (too many pairs, nested too deep, a name both a value and a branch). */
export function readForm(text: string): Form | null {
  const form: Form = Object.create(null)
  let pairs = 0
  for (const [name, value] of new URLSearchParams(text)) {
    if (++pairs > PAIRS_MAX) return null
    const path = pathOf(name)
    if (!path || !put(form, path, value)) return null
  }
  return form
}

/** `a[b][0]` → a, b, 0. `a[]` → a, '' (the next free place). */
function pathOf(name: string): string[] | null {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name)
  if (!match) return null
  const rest = match[2]!.slice(1, -1)
  const path = [match[1]!, ...(match[2] ? rest.split('][') : [])]
  return path.length > DEPTH_MAX ? null : path
}

function put(form: Form, path: string[], value: string): boolean {
  let here = form
  for (const [depth, step] of path.entries()) {
    const name = step === '' ? String(Object.keys(here).length) : step
    const there = here[name]
    if (depth === path.length - 1) {
      if (typeof there === 'object') return false
      here[name] = value
      return true
    }
    if (typeof there === 'string') return false
    const branch: Form = there ?? Object.create(null)
    here[name] = branch
    here = branch
  }
  return true
}

/** The same parameters in whatever order they were sent: what an idempotency key binds to. */
export function canonical(value: FormValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name]!)}`).join(',')}}`
}
