import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { Order } from '../../contract/contract.ts'
import { openOrdersRead, orderRead } from '../reads.ts'

/**
 * The open orders, newest first, and those that ended while this page was open: a slip keeps its place until the page is left,
 * so that nothing jumps away from the one who reads it.
 */
export function useSlips(): Order[] {
  const cache = useQueryClient()
  const open = useQuery(openOrdersRead).data
  const [seen, setSeen] = useState<Order[]>([])
  useEffect(() => {
    if (open) setSeen((known) => keepSlips(known, open))
  }, [open])
  return seen.map((order) => cache.getQueryData(orderRead(order.id).queryKey) ?? order)
}

export function keepSlips(known: Order[], open: Order[]): Order[] {
  const byId = new Map([...known, ...open].map((order) => [order.id, order]))
  return [...byId.values()].sort((a, b) => b.created_at.localeCompare(a.created_at) || b.number - a.number)
}
