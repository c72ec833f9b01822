//! Embeds `tauri.conf.json`, the icons and the permissions of the page's commands.

fn main() {
    tauri_build::build();
}
