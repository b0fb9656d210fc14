import { useEffect, useState } from 'react'

/**
 * What the mail's link carries behind the `#`, which is sent to no server; it is taken out of the address bar at once. Null: nothing.
 * A link that is opened in a tab where this page already stands changes what is behind the `#` and loads nothing anew.
 */
export function useLinkToken(): string | null {
  const [token, setToken] = useState(readToken)
  useEffect(() => {
    const take = () => {
      const read = readToken()
      if (read === null) return
      setToken(read)
      history.replaceState(history.state, '', location.pathname + location.search)
    }
    take()
    addEventListener('hashchange', take)
    return () => removeEventListener('hashchange', take)
  }, [])
  return token
}

function readToken(): string | null {
  return /^#([\w-]{1,200})$/.exec(location.hash)?.[1] ?? null
}
