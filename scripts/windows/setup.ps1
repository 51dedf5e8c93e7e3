<#
.SYNOPSIS
Installs this project and its tools into .venv on Windows, from the lock file.
.EXAMPLE
scripts\windows\setup.ps1
#>
[CmdletBinding()]
param(
    # The Python to use; 3.11 or later.
    [string] $Python = 'py'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location -Path (Split-Path -Path (Split-Path -Path $PSScriptRoot))

if (Get-Command uv -ErrorAction SilentlyContinue) {
    uv sync --frozen --all-extras
    exit $LASTEXITCODE
}
& $Python -m pip install --user --quiet 'uv==0.13.9'
if ($LASTEXITCODE -ne 0) { Write-Error 'uv could not be installed: give a Python 3.11 or later by -Python.' -ErrorAction Continue; exit 1 }
& $Python -m uv sync --frozen --all-extras
exit $LASTEXITCODE
