/**
 * The version of each policy that is in force: the day from which it is. Who joins accepts these, and his account keeps which.
 * The texts are in policies.ts; a test holds the two together.
 */
export const policyVersions = {
  terms: '2026-11-23',
  privacy: '2026-11-23',
  acceptable_use: '2026-11-23',
  refunds: '2026-11-23',
} as const

export type PolicyName = keyof typeof policyVersions
