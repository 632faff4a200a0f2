"""Side by side with other proxies: ./dev bench. What each file does is told in bench/README.md."""
