// The one menu that may be open, and where.

export interface MenuItem {
  label: string
  keys?: string
  danger?: boolean
  disabled?: boolean
  /** A line above. */
  apart?: boolean
  run: () => void
}

interface OpenMenu {
  label: string
  items: MenuItem[]
  x: number
  y: number
  /** Opens upwards from `y`. */
  up: boolean
  back: HTMLElement | null
}

export const menu = $state<{ open: OpenMenu | null }>({ open: null })

export function openMenu(label: string, items: MenuItem[], x: number, y: number, up = false): void {
  menu.open = { label, items, x, y, up, back: document.activeElement as HTMLElement | null }
}

/** Opens below (or above) the button that was pressed. */
export function openMenuAt(button: HTMLElement, label: string, items: MenuItem[], up = false): void {
  const box = button.getBoundingClientRect()
  openMenu(label, items, box.left, up ? box.top - 4 : box.bottom + 4, up)
}

export function closeMenu(): void {
  const back = menu.open?.back
  menu.open = null
  back?.focus()
}
