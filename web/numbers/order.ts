import type { Balance, Message, Order } from '../../contract/contract.ts'
import { add, printAmount, subtract, usd } from '../../contract/money.ts'

/** What an order is to the one who looks at it: the screen is a switch over these. */
export type Stage =
  | { is: 'requested' }
  | { is: 'waiting'; cancelFrom: string | null; textsWithoutCode: boolean }
  | { is: 'received'; at: string; open: boolean; waitsForAnother: boolean }
  | { is: 'no_code'; why: 'cancelled' | 'expired' | 'failed' }

/** `now`: house time in ms. `cancelFrom` null: cancelling is possible. */
export function stageOf(order: Order, now: number): Stage {
  switch (order.status) {
    case 'requested':
      return { is: 'requested' }
    case 'waiting':
      return {
        is: 'waiting',
        cancelFrom: Date.parse(order.cancel_from) > now ? order.cancel_from : null,
        textsWithoutCode: order.messages.length > 0,
      }
    case 'received':
    case 'finished':
      return {
        is: 'received',
        at: order.received_at ?? order.created_at,
        open: order.status === 'received',
        waitsForAnother: order.status === 'received' && order.another_code_requested_at !== null,
      }
    case 'cancelled':
    case 'expired':
    case 'failed':
      return { is: 'no_code', why: order.status }
  }
}

/** What must come in before this price can be held, as the wire writes it; what is owed is paid first. Null: nothing. */
export function missingFor(price: string, balance: Pick<Balance, 'available' | 'owed'>): string | null {
  const needed = add(usd(price), usd(balance.owed))
  const available = usd(balance.available)
  return needed > available ? printAmount(subtract(needed, available) as ReturnType<typeof usd>) : null
}

/** The code as a trace may show it to somebody else's eyes: its ends only. */
export function veiled(code: string): string {
  const shown = code.length >= 6 ? 2 : 1
  return code.length <= 2 ? '••' : `${code.slice(0, shown)}••${code.slice(-shown)}`
}

/** The message whose code the price was deducted for: the first one in time that had a code. */
export function chargedMessage(order: Order): Message | null {
  if (!order.received_at) return null
  return order.messages.find((message) => message.code !== null && !message.late) ?? null
}

/** The codes that came in time after the charged one: they are free. */
export function furtherMessages(order: Order): Message[] {
  const charged = chargedMessage(order)
  return order.messages.filter((message) => message.code !== null && !message.late && message !== charged)
}

/** The message under whose code the order's own sentence stands: the charged one, else the first code that came too late. */
export function tellingMessage(order: Order): Message | null {
  return chargedMessage(order) ?? order.messages.find((message) => message.late && message.code !== null) ?? null
}
