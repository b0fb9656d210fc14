import { useEffect, useState } from 'react'

/** What the mail's link carries behind the `#`, which is sent to no server; it is taken out of the address bar at once. Null: nothing. */
export function useLinkToken(): string | null {
  const [token] = useState(() => decodeURIComponent(location.hash.slice(1)) || null)
  useEffect(() => {
    if (location.hash) history.replaceState(history.state, '', location.pathname + location.search)
  }, [])
  return token
}
