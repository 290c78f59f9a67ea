"""Programs that fetch links by themselves: previews of messengers and mail, search engines, scanners, monitors."""

_WEBKIT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
_DESKTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)

AGENTS = (
    # previews in messages
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    f"{_WEBKIT} facebookexternalhit/1.1 Facebot Twitterbot/1.0",  # Apple's Messages
    "Facebot/1.0",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "Twitterbot/1.0",
    "WhatsApp/2.24.6.77 A",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Discordbot/2.0; +https://discordapp.com",
    "SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "Mozilla/5.0 (compatible; LINE/1.0; LinkPreview)",
    "facebookexternalhit/1.1;line-poker/1.0",  # LINE
    "Viber/13.3.0 CFNetwork/1126 Darwin/19.5.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Pinterestbot/1.0 (+https://www.pinterest.com/bot.html)",
    "Mozilla/5.0 (compatible; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984)",
    "Mozilla/5.0 (compatible; Iframely/1.3.1; +https://iframely.com/docs/about)",
    "Embedly/0.2 (+http://support.embed.ly/)",
    "redditbot/1.0 (+http://www.reddit.com/feedback)",
    "Mastodon/4.3.1 (http.rb/5.2.0; +https://mastodon.example/) Bot",
    "Microsoft Office Existence Discovery",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 Teams",
    "Google-PageRenderer Google (+https://developers.google.com/+/web/snippet/)",  # Google Messages
    f"{_CHROME} Mobile Safari/537.36 Google-Messages-Preview",
    # search engines and readers
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    f"{_WEBKIT} Version/18.0 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot)",
    # scanners of mail, of networks, of handsets
    "Mozilla/5.0 (compatible; Barracuda Sentinel (EE); https://www.barracuda.com)",
    "Mozilla/5.0 (compatible; ProofPoint URL Defense)",
    "Mimecast URL Protect/1.0",
    "BitSightBot/1.0",
    "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
    "Mozilla/5.0 zgrab/0.x",
    "Expanse, a Palo Alto Networks company, searches across the global IPv4 space",
    "TrendMicro-WRS/1.0",
    "Mozilla/5.0 (compatible; McAfee-WebAdvisor-Scan/2.0)",
    "urlscan.io-agent/1.0",
    "VirusTotalCloud",
    "Google-Safety",
    _DESKTOP,  # Microsoft Defender's Safe Links comes as an ordinary browser
    # tools
    "curl/8.5.0",
    "Wget/1.21.4",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
)
