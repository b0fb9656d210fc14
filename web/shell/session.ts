import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { api } from '../api.ts'
import { startLive, tellSignedOut } from '../live.ts'
import { forgetCustomer } from '../reads.ts'

/**
 * Around every page of somebody who is signed in: it is told of changes while it is open, and he can sign out. `stillIn`: he wanted to,
 * and the server did not answer.
 */
export function useSession(): { stillIn: boolean; signOut: () => Promise<void> } {
  const cache = useQueryClient()
  const [stillIn, setStillIn] = useState(false)
  useEffect(() => startLive(cache, () => forgetCustomer(cache)), [cache])

  const signOut = async () => {
    const answer = await api.signOut()
    setStillIn(!answer.ok)
    if (!answer.ok) return
    tellSignedOut()
    forgetCustomer(cache)
  }
  return { stillIn, signOut }
}
