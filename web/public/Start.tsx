import { useQuery } from '@tanstack/react-query'
import { Home } from '../home/Home.tsx'
import { meRead } from '../reads.ts'
import { Front } from './Front.tsx'

/** One address, two pages: Home for who is signed in, the public front for everybody else. */
export function Start() {
  return useQuery(meRead).data ? <Home /> : <Front />
}
