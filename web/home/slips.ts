import { useQueries, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { Order } from '../../contract/contract.ts'
import { openOrdersRead, orderRead } from '../reads.ts'

/**
 * The open orders, newest first, and those that ended while this page was open: a slip keeps its place until the page is left,
 * so that nothing jumps away from the one who reads it.
 */
export function useSlips(): Order[] {
  const open = useQuery(openOrdersRead).data
  const [seen, setSeen] = useState<Order[]>([])
  useEffect(() => {
    if (open) setSeen((known) => keepSlips(known, open))
  }, [open])
  // Listens to what the stream tells of each order, also when it has left the list of open ones; asks for nothing itself.
  const told = useQueries({ queries: seen.map((order) => ({ ...orderRead(order.id), enabled: false })) })
  return seen.map((order, index) => later(order, told[index]?.data))
}

export function keepSlips(known: Order[], open: Order[]): Order[] {
  const byId = new Map(known.map((order) => [order.id, order]))
  for (const order of open) byId.set(order.id, later(order, byId.get(order.id)))
  return [...byId.values()].sort((a, b) => b.created_at.localeCompare(a.created_at) || b.number - a.number)
}

/** Of two readings of one order the one that is further on: orders only ever go forward. */
function later(order: Order, other: Order | undefined): Order {
  return other && steps(other) > steps(order) ? other : order
}

function steps(order: Order): number {
  const asked = order.another_code_requested_at ? 0.5 : 0 // less than the code that answers it
  return order.messages.length + (order.received_at ? 1 : 0) + (order.ended_at ? 1 : 0) + asked
}
