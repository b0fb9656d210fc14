import { useRouter } from '@tanstack/react-router'
import { useEffect } from 'react'
import { Loading } from '../ui/Loading.tsx'

/** Who has no need of this page goes on to another one, and the back button does not come back here. */
export function GoOn({ to }: { to: string }) {
  const router = useRouter()
  useEffect(() => router.history.replace(to), [router, to])
  return <Loading />
}
