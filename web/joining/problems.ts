import type { Refusal } from '../api.ts'
import type { Problem } from '../ui/Problems.tsx'

/** The form's problems by field: what it found itself, and what the server refused. */
export type Found<Field extends string> = Partial<Record<Field, string>>

/** A refusal about one of the form's fields stands beside that field; any other stands above the form alone. */
export function fieldOf<Field extends string>(refusal: Refusal | null, fields: readonly Field[]): Field | null {
  // `accepted.terms` is about the field `accepted`.
  const name = refusal?.field?.split('.')[0]
  return fields.find((field) => field === name) ?? null
}

export function problemsOf<Field extends string>(
  found: Found<Field>,
  refusal: Refusal | null,
  fields: readonly Field[],
): { beside: Found<Field>; all: Problem[] } {
  const refused = fieldOf(refusal, fields)
  const beside: Found<Field> = refusal && refused ? { ...found, [refused]: refusal.detail } : found
  const all: Problem[] = fields.flatMap((field) => (beside[field] ? [{ field, text: beside[field] }] : []))
  if (refusal && !refused) all.push({ field: null, text: refusal.detail })
  return { beside, all }
}
