/** `1000` → `$10.00`. The bank counts whole cents. */
export function dollars(cents: number): string {
  const whole = Math.trunc(cents / 100)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
  return `$${whole}.${(cents % 100).toString().padStart(2, '0')}`
}
