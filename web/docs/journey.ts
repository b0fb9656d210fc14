/** The lines of "From nothing to a code": each works as it stands, in this order, once KEY, TOPUP and ORDER hold what the lines before answered. */
export type Line = { say: string; run: string; keep?: string }

export function journey(base: string): Line[] {
  const auth = '-H "Authorization: Bearer $KEY"'
  const json = '-H "Content-Type: application/json"'
  return [
    {
      say: 'Read your balance.',
      run: `curl "${base}/api/v1/balance" ${auth}`,
    },
    {
      say: 'Top up. Open the `checkout_url` of the answer and pay; your bank asks you to confirm. Credits appear at once.',
      run: `curl -X POST "${base}/api/v1/topups" ${auth} ${json} -H "Idempotency-Key: first-topup" -d '{"method":"card","amount":"10.00"}'`,
      keep: 'Put the id of the answer into TOPUP.',
    },
    {
      say: 'See whether it is credited.',
      run: `curl "${base}/api/v1/topups/$TOPUP" ${auth}`,
    },
    {
      say: 'Look at the prices of a service in a country.',
      run: `curl "${base}/api/v1/prices?service=telegram&country=GB"`,
    },
    {
      say: 'Order a number. Its price is held, not charged.',
      run: `curl -X POST "${base}/api/v1/orders" ${auth} ${json} -H "Idempotency-Key: first-order" -d '{"service":"telegram","country":"GB"}'`,
      keep: 'Put the id of the answer into ORDER.',
    },
    {
      say: 'Ask for the code until `messages` has it. Asking costs nothing.',
      run: `curl "${base}/api/v1/orders/$ORDER" ${auth}`,
    },
    {
      say: 'Finish, when you need no further code. Without this it finishes by itself.',
      run: `curl -X POST "${base}/api/v1/orders/$ORDER/finish" ${auth}`,
    },
    {
      say: 'Read what it cost, row by row.',
      run: `curl "${base}/api/v1/billing/history?limit=10" ${auth}`,
    },
  ]
}
