/**
 * Mutants that no test catches, and why none needs to: the change makes no difference that anybody could see, or none that matters. By
 * file; the line and the change as the report names them.
 */
export const survivors: Record<string, [mutant: string, why: string][]> = {}
