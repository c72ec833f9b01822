//! Embeds `tauri.conf.json`, the icons and the page.

use std::path::Path;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=../ui/dist");
    // Checks and lints must work before the page was built; the page then says what is missing.
    let page = Path::new("../ui/dist/index.html");
    if !page.exists() {
        std::fs::create_dir_all("../ui/dist")?;
        std::fs::write(
            page,
            "<!doctype html><title>Slipway</title><p>The page was not built. Run `npm ci \
             --ignore-scripts && npm run build` in ui/, then build again.",
        )?;
        // Older than every source, so that nobody takes it for a page that was built.
        std::fs::File::options()
            .write(true)
            .open(page)?
            .set_modified(std::time::SystemTime::UNIX_EPOCH)?;
    }
    tauri_build::build();
    Ok(())
}
