// What can be done with an image, as menu items.

import type { ImageRow } from './bindings/ImageRow'
import { t } from './i18n/index.svelte'
import { show } from './keys'
import { copy, deleteImage } from './state/acts.svelte'
import { imageName, images } from './state/images.svelte'
import type { MenuItem } from './state/menu.svelte'
import { openDialog } from './state/nav.svelte'

export function imageMenu(image: ImageRow): MenuItem[] {
  return [
    { label: t('run'), keys: 'Enter', run: () => openDialog({ kind: 'run', image: imageName(image) }) },
    { label: t('copy_name'), keys: show('Mod+C'), apart: true, run: () => void copy(imageName(image)) },
    { label: t('copy_id'), keys: show('Mod+Alt+C'), run: () => void copy(image.id) },
    {
      label: images.usersOf(image).length > 0 ? t('delete_more') : t('delete'),
      keys: show('Delete'),
      danger: true,
      apart: true,
      run: () => deleteImage(image),
    },
  ]
}
