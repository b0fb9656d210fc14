import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { Favourite } from '../../contract/contract.ts'
import { api, type Refusal } from '../api.ts'
import { favouritesRead } from '../reads.ts'
import { pairKey } from './search.ts'

/**
 * The customer's favourites, and how they are marked. A press shows at once; when the server refuses it, it is taken back and the
 * refusal stands beside the pair.
 */
export function useFavourites() {
  const cache = useQueryClient()
  const read = useQuery(favouritesRead)
  const [refused, setRefused] = useState<{ pair: string; refusal: Refusal } | null>(null)
  const marked = new Set(read.data?.map(pairKey))

  async function toggle({ service, country }: Favourite): Promise<void> {
    const favourite = { service, country }
    const pair = pairKey(favourite)
    const on = !marked.has(pair)
    setRefused(null)
    await cache.cancelQueries({ queryKey: favouritesRead.queryKey })
    cache.setQueryData(favouritesRead.queryKey, (list = []) =>
      on ? [...list, favourite] : list.filter((each) => pairKey(each) !== pair),
    )
    const answer = await (on ? api.markFavourite(favourite) : api.unmarkFavourite(favourite))
    if (!answer.ok) setRefused({ pair, refusal: answer.refusal })
    void cache.invalidateQueries({ queryKey: favouritesRead.queryKey })
  }

  return {
    isPending: read.isPending,
    marked,
    toggle,
    refusalFor: (favourite: Favourite) => (refused?.pair === pairKey(favourite) ? refused.refusal : null),
  }
}

/**
 * The favourites by which a list is sorted: as they were when its words were typed, so that no row jumps away from the one who has just
 * marked it.
 */
export function useSettled(marked: ReadonlySet<string>, isPending: boolean, typed: string): ReadonlySet<string> {
  const [settled, settle] = useState<{ typed: string; marked: ReadonlySet<string> } | null>(null)
  if (!isPending && settled?.typed !== typed) settle({ typed, marked })
  return settled?.marked ?? new Set()
}
