import { cleanup } from '@testing-library/react'
import { afterEach, vi } from 'vitest'

afterEach(cleanup)

// No test speaks to a network; one that needs answers stubs its own.
vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network in tests')))
