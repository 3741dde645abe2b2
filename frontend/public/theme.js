// Runs before the first paint, so that the page never flashes in the other
// theme. A file of its own because the content security policy allows no
// inline script.
try {
  const kept = localStorage.getItem('sidelight.theme')
  const light = kept ? kept === 'light' : matchMedia('(prefers-color-scheme: light)').matches
  document.documentElement.dataset.theme = light ? 'light' : 'dark'
} catch {
  document.documentElement.dataset.theme = 'dark'
}
